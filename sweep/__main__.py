"""The command line: `python -m sweep plan|status|compare`. Loads no torch."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sweep.compare.cells import collect
from sweep.compare.table import comparison_json, print_comparison
from sweep.dispatch.view import plain_line, status_table
from sweep.errors import UserError
from sweep.run.ledger import read_sweep
from sweep.run.status import Status, sweep_statuses

app = typer.Typer(
    help="Plan, watch and compare sweeps. Launch one with `python launch.py -m …`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Name = Annotated[str, typer.Argument(metavar="SWEEP", help="a sweep's name, as the launch printed it")]
Output = Annotated[Path, typer.Option(help="the output_dir of the launch")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]


@app.command(context_settings={"ignore_unknown_options": True})
def plan(
    overrides: Annotated[list[str] | None, typer.Argument(help="the same overrides as for launch.py")] = None,
    config_dir: Annotated[str | None, typer.Option(help="a directory with groups of your own")] = None,
    as_json: AsJson = False,
) -> None:
    """What a launch would run: stages and cells, and which are done. Writes nothing."""
    from sweep.plan.plan import plan_sweep
    from sweep.plan.validate import checkpoint_bytes, human_bytes

    planned = plan_sweep([o for o in overrides or [] if o not in ("-m", "--multirun")], config_dir)
    statuses = planned.statuses()
    if as_json:
        rows = [
            {"label": t.label, "signature": t.signature, "directory": str(t.directory), "state": s.state, **t.axes}
            for t, s in zip(planned.tasks, statuses, strict=True)
        ]
        stages = len(planned.stages)
        _print_json({"sweep": planned.name, "stages": rows[:stages], "cells": rows[stages:]})
        return
    table = Table(title=f"sweep {planned.name}: {len(planned.cells)} cells", title_justify="left")
    for column in ("run", "signature", "state", "steps", "processes", "disk"):
        table.add_column(column, overflow="fold")
    for task, status in zip(planned.tasks, statuses, strict=True):
        disk = human_bytes(checkpoint_bytes(task.config)) if task.steps else ""
        steps = str(task.steps or "")
        table.add_row(task.label, task.signature, status.state, steps, str(task.config.deepspeed.processes), disk)
    console().print(table)


@app.command()
def status(sweep: Name, output_dir: Output = Path("runs"), as_json: AsJson = False) -> None:
    """Every stage and cell: state, step, reward, accuracy, time left."""
    statuses = sweep_statuses(read_sweep(output_dir.absolute(), sweep))
    if as_json:
        _print_json({"sweep": sweep, "runs": [asdict(s) for s in statuses]})
    elif sys.stdout.isatty():
        console().print(status_table(f"sweep {sweep}", statuses))
    else:
        _print_lines(statuses)


@app.command()
def compare(sweep: Name, output_dir: Output = Path("runs"), as_json: AsJson = False) -> None:
    """Accuracy and code reasoning before and after, model × reward."""
    comparison = collect(output_dir.absolute(), sweep)
    if as_json:
        _print_json(comparison_json(comparison))
    else:
        print_comparison(comparison, console())


def console() -> Console:
    """Standard output; wide enough for the tables where it is not a terminal."""
    return Console() if sys.stdout.isatty() else Console(width=140)


def _print_lines(statuses: list[Status]) -> None:
    for line in map(plain_line, statuses):
        print(line)


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
