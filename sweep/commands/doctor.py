"""The command that looks for what would not run here, and for what is damaged in a sweep."""

from __future__ import annotations

import platform
import sys
from typing import Annotated

import typer

from sweep.commands.options import AsJson, place, print_json
from sweep.config.local import default_output_dir
from sweep.dispatch.view import console
from sweep.doctor.finding import Finding, any_broken, broken, not_checked, report
from sweep.errors import DamagedFile
from sweep.shown import shown_lines

commands = typer.Typer()
OUTPUT = "output_dir="


@commands.command(context_settings={"ignore_unknown_options": True})
def doctor(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SWEEP [CELL…]] | [KEY=VALUE…]", help="a sweep to check, or the overrides of a launch"),
    ] = None,
    config_dir: Annotated[str | None, typer.Option(help="a directory with groups of your own")] = None,
    output_dir: Annotated[str | None, typer.Option(help="the output_dir; output_dir=DIR does as well")] = None,
    on_node: Annotated[
        bool, typer.Option("--on-node", help="also look at a compute node, with a job of about a minute")
    ] = False,
    start_minutes: Annotated[
        float, typer.Option(min=0.1, help="with --on-node: for how long its job may wait to start")
    ] = 10.0,
    hashes: Annotated[
        bool, typer.Option("--hashes", help="with a sweep: read all of every checkpoint and of all weights")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What would run here and what would not, with the remedies; `doctor SWEEP` checks a sweep's run directories.

    Takes the overrides of a launch, and checks the cells that it would run; without any, those of the demo. Changes
    nothing. Ends with 0 if nothing is broken, with 1 if something is.
    """
    typed = [word for word in words or [] if word not in ("-m", "--multirun")]
    others = [word for word in typed if not word.startswith(OUTPUT)]
    of_a_sweep = bool(others) and "=" not in others[0] and others[0][:1] not in ("~", "+", "-")
    if of_a_sweep:
        if on_node or config_dir:
            given = "--on-node" if on_node else "--config-dir"
            raise typer.BadParameter(f"{given} belongs to the overrides of a launch, and {others[0]} names a sweep")
        found = _sweep(typed, others, output_dir, hashes)
        _end(found, as_json, f"sweep {others[0]}", sweep=others[0])
    if hashes:
        raise typer.BadParameter("--hashes reads what a sweep wrote: name a sweep")
    _machine(typed, config_dir, output_dir, on_node, start_minutes, as_json)


def _sweep(typed: list[str], others: list[str], output_dir: str | None, hashes: bool) -> list[Finding]:
    from sweep.doctor.sweeps import examine
    from sweep.plan.overrides import one_value, with_output_dir

    named = [word for word in with_output_dir(typed, output_dir) if word.startswith(OUTPUT)]
    root = place(one_value(named[-1])) if named else default_output_dir()
    name, *patterns = others
    found: list[Finding] = []
    try:
        for one in examine(root, name, patterns, hashes):
            found.append(one)
    except DamagedFile as error:
        seen, _, remedy = str(error).rpartition("; ")
        found.append(broken("sweep.damaged", f"{seen or error}; what comes after it was not checked", remedy))
    return found


def _machine(
    typed: list[str], config_dir: str | None, output_dir: str | None, on_node: bool, minutes: float, as_json: bool
) -> None:
    from sweep.doctor.examine import ask, examine
    from sweep.doctor.on_node import visit
    from sweep.plan.overrides import with_output_dir

    asked = ask(with_output_dir(typed, output_dir), config_dir)
    if on_node and asked.runs_here:
        raise typer.BadParameter(
            "--on-node looks at a node of a Slurm cluster: add cluster=slurm, or another of Slurm's"
        )
    title = f"this machine ({platform.node()}), for {' '.join(asked.typed)}"
    found = [*examine(asked, on_node)]
    if not on_node:
        _end(found, as_json, title, node=None)
    if not as_json:
        _show(title, found)
    if asked.plan is None or any(one.check.startswith("slurm.") for one in found if any_broken([one])):
        why = "no job was submitted, because one of these cells would be refused"
        node, seen = "", [not_checked("node.job", why, "mend what is broken first")]
    else:
        try:
            node, seen = visit(asked, minutes, lambda line: print(shown_lines(line), file=sys.stderr, flush=True))
        except KeyboardInterrupt:
            print("stopped; the job was cancelled", file=sys.stderr)
            raise typer.Exit(130) from None
    if as_json:
        print_json(report(platform.node(), [*found, *seen], node=node or None))
    else:
        _show(f"node {node}" if node else "a node", seen)
    raise typer.Exit(int(any_broken([*found, *seen])))


def _show(title: str, found: list[Finding]) -> None:
    from sweep.doctor.show import print_findings

    print_findings(title, found, console())


def _end(found: list[Finding], as_json: bool, title: str, **more: str | None) -> None:
    """Print the findings, and end the command with the exit code that they call for."""
    if as_json:
        print_json(report(platform.node(), found, **more))
    else:
        _show(title, found)
    raise typer.Exit(int(any_broken(found)))
