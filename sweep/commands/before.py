"""Commands that take the overrides of a launch: `plan` shows what it would run, `prefetch` fetches what it needs."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.commands.options import AsJson, print_json
from sweep.dispatch.view import console

commands = typer.Typer()
Typed = Annotated[str | None, typer.Option("--output-dir", help="output_dir, as the other commands take it")]
Overrides = Annotated[list[str] | None, typer.Argument(help="the same overrides as for launch.py")]
ConfigDir = Annotated[str | None, typer.Option(help="a directory with groups of your own")]


@commands.command(context_settings={"ignore_unknown_options": True})
def plan(
    overrides: Overrides = None, config_dir: ConfigDir = None, output_dir: Typed = None, as_json: AsJson = False
) -> None:
    """What a launch would run: stages, cells, which are done, predicted memory and disk. Writes nothing.

    Ends with 2 where a launch here would be refused.
    """
    from sweep.plan.plan import plan_sweep
    from sweep.plan.view import plan_json, print_plan

    planned = plan_sweep(_as_launched(overrides, output_dir), config_dir)
    if as_json:
        print_json(plan_json(planned))
    else:
        print_plan(planned, console())
    raise typer.Exit(2 if planned.obstacles else 0)


@commands.command(context_settings={"ignore_unknown_options": True})
def prefetch(overrides: Overrides = None, config_dir: ConfigDir = None, output_dir: Typed = None) -> None:
    """Fetch every model and data set of a sweep into the caches, where there is a network; jobs then need none."""
    from sweep.dispatch import prefetch as fetching  # the module: this command has the name of its function

    for line in fetching.prefetch(_as_launched(overrides, output_dir), config_dir):
        print(line, flush=True)


def _as_launched(overrides: list[str] | None, output_dir: str | None) -> list[str]:
    """Return the overrides of a launch, typed with or without -m, as a list that the planner takes."""
    from sweep.plan.overrides import with_output_dir

    return with_output_dir([o for o in overrides or [] if o not in ("-m", "--multirun")], output_dir)
