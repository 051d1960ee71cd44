"""The command line: `python -m sweep plan|prefetch|status|compare|export`. Loads no torch."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sweep.compare.cells import collect
from sweep.compare.table import comparison_json, print_comparison
from sweep.dispatch.view import console, plain_line, status_table
from sweep.errors import UserError
from sweep.run.ledger import read_sweep
from sweep.run.status import sweep_statuses

app = typer.Typer(
    help="Plan, watch and compare sweeps. Launch one with `python launch.py -m …`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Name = Annotated[str, typer.Argument(metavar="SWEEP", help="a sweep's name, as the launch printed it")]
Output = Annotated[Path, typer.Option(help="the output_dir of the launch")]
Overrides = Annotated[list[str] | None, typer.Argument(help="the same overrides as for launch.py")]
ConfigDir = Annotated[str | None, typer.Option(help="a directory with groups of your own")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]


@app.command(context_settings={"ignore_unknown_options": True})
def plan(overrides: Overrides = None, config_dir: ConfigDir = None, as_json: AsJson = False) -> None:
    """What a launch would run: stages, cells, which are done, predicted memory and disk. Writes nothing."""
    from sweep.plan.plan import plan_sweep
    from sweep.plan.view import plan_json, print_plan

    planned = plan_sweep(_without_m(overrides), config_dir)
    if as_json:
        _print_json(plan_json(planned))
    else:
        print_plan(planned, console())


@app.command(context_settings={"ignore_unknown_options": True})
def prefetch(overrides: Overrides = None, config_dir: ConfigDir = None) -> None:
    """Fetch every model and data set of a sweep into the caches, where there is a network; jobs then need none."""
    from sweep.dispatch.prefetch import prefetch as fetch_all

    for line in fetch_all(_without_m(overrides), config_dir):
        print(line, flush=True)


@app.command()
def export(
    cell: Annotated[str, typer.Argument(help="a run directory, its name, or (the beginning of) its signature")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="where to write; must not exist")],
    output_dir: Output = Path("runs"),
    merge: Annotated[bool, typer.Option(help="merge LoRA adapters into the weights")] = True,
) -> None:
    """Write a finished cell's model and tokenizer as a Hugging Face directory."""
    from sweep.dispatch.export import export_cell

    export_cell(output_dir.absolute(), cell, directory.absolute(), merge)
    print(f"wrote {directory}")


@app.command()
def status(sweep: Name, output_dir: Output = Path("runs"), as_json: AsJson = False) -> None:
    """Every stage and cell: state, step, reward, accuracy, time left."""
    stages, cells = sweep_statuses(read_sweep(output_dir.absolute(), sweep))
    statuses = [*stages, *cells]
    if as_json:
        _print_json({"sweep": sweep, "runs": [asdict(s) for s in statuses]})
    elif sys.stdout.isatty():
        console().print(status_table(f"sweep {sweep}", statuses))
    else:
        print("\n".join(map(plain_line, statuses)))


@app.command()
def compare(sweep: Name, output_dir: Output = Path("runs"), as_json: AsJson = False) -> None:
    """Accuracy and code reasoning before and after, model × reward."""
    comparison = collect(output_dir.absolute(), sweep)
    if as_json:
        _print_json(comparison_json(comparison))
    else:
        print_comparison(comparison, console())


def _without_m(overrides: list[str] | None) -> list[str]:
    return [o for o in overrides or [] if o not in ("-m", "--multirun")]


def _print_json(value: dict) -> None:
    print(json.dumps(value, indent=1))


def main() -> int:
    """Returns the exit code: 2 for bad input."""
    try:
        app(standalone_mode=False)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except typer.Exit as end:
        return end.exit_code
    except Exception as error:
        # Typer's own usage errors, whichever click it brings along.
        if not hasattr(error, "format_message"):
            raise
        print(error.format_message(), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
