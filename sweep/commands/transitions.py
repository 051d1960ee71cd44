"""The command that shows what became of the answers to each problem: `python -m sweep transitions`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sweep.commands.options import AsJson, Figures, Name, Output, Patterns, print_json
from sweep.compare.figures.write import check_directory
from sweep.compare.table import print_grid, print_lines
from sweep.compare.transition_tables import problem_grids, transition_grid, transitions_json
from sweep.compare.transitions import DEFAULT_BEHAVIOUR, Asked, moved_rows
from sweep.dispatch.select import runs, select
from sweep.dispatch.view import console
from sweep.errors import UserError
from sweep.run.ledger import read_sweep
from sweep.run.unwritable import complaint

commands = typer.Typer()


@commands.command()
def transitions(
    sweep: Name,
    cells: Patterns = None,
    output_dir: Output = Path("runs"),
    behaviour: Annotated[str, typer.Option(help="the detector that tells the answers apart")] = DEFAULT_BEHAVIOUR,
    benchmark: Annotated[
        str | None, typer.Option(help="only this benchmark, or one way to ask it (NAME-SIGNATURE); all by default")
    ] = None,
    from_step: Annotated[
        int | None, typer.Option(min=1, help="the weights before are those of this step; the untrained ones by default")
    ] = None,
    to_step: Annotated[
        int | None, typer.Option(min=1, help="the weights after are those of this step; the last ones by default")
    ] = None,
    problems: Annotated[bool, typer.Option("--problems", help="list the fixed and the broken problems too")] = False,
    figures: Figures = None,
    as_json: AsJson = False,
) -> None:
    """Where did a gain come from? Answers with and without a behaviour, before and after training."""
    if figures is not None:
        check_directory(figures)
    known = read_sweep(output_dir, sweep)
    of_cells = {entry.directory for entry in known.cells}
    chosen = select([run for run in runs(known) if run.entry.directory in of_cells], cells or ())
    asked = Asked(behaviour, benchmark, from_step, to_step)
    found = moved_rows(known.root, sweep, [run.entry for run in chosen], asked)
    if as_json:
        print_json(transitions_json(sweep, found.rows, found.warnings))
    else:
        for grid in [transition_grid(sweep, found.rows), *(problem_grids(sweep, found.rows) if problems else [])]:
            print_grid(grid, console())
            print_lines(console(), grid.foot)
        print_lines(console(), found.warnings)
    if figures is not None:
        # With JSON, standard output holds nothing else.
        print("\n".join(_drawn(sweep, found.rows, figures)), file=sys.stderr if as_json else sys.stdout)


def _drawn(sweep: str, rows: list, directory: Path) -> list[str]:
    from sweep.compare.figures.transitions import write_transitions

    try:
        return [str(file) for file in write_transitions(sweep, rows, directory)]
    except OSError as error:
        raise UserError(f"--figures {directory}: {complaint(error, directory) or error}") from error
