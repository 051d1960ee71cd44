"""A verdict in the terminal: tables, sentences, what to run next, warnings."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sweep.compare.more_tables import cost_lines
from sweep.compare.results import Comparison
from sweep.compare.tables import Grid, grids
from sweep.compare.verdict import Verdict, judge

CAVEAT = (
    "The minis' corpora were built to differ this way: these numbers test the pipeline and are no evidence for or "
    "against the paper."
)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """The verdict on a comparison, of which nothing special is asked."""
    print_verdict(judge(comparison), console)


def print_verdict(verdict: Verdict, console: Console, more: Sequence[Grid] = ()) -> None:
    """Everything that is known, as `python -m sweep compare` prints it; `more`: tables that were asked for."""
    for grid in [*grids(verdict), *more]:
        console.print(_table(grid))
        _lines(console, grid.foot)
    console.print()
    _lines(console, verdict.sentences)
    for suggestion in verdict.suggestions:
        console.print()
        _lines(console, [f"next ({suggestion.why}):", f"  {suggestion.command}"])
    if verdict.warnings:
        console.print()
        _lines(console, verdict.warnings)
    _lines(console, cost_lines(verdict))
    console.print(f"run directories: {verdict.comparison.root / 'cells'}", soft_wrap=True)
    if any(cell.model.endswith("_mini") for cell in verdict.comparison.cells):
        console.print(CAVEAT, style="dim")


def _lines(console: Console, lines: list[str]) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(grid: Grid) -> Table:
    table = Table(title=escape(grid.title), title_justify="left")
    for column in grid.columns:
        is_number = column in grid.numbers
        table.add_column(escape(column), justify="right" if is_number else "left", no_wrap=is_number)
    for place, row in enumerate(grid.rows):
        table.add_row(*map(escape, row), end_section=place in grid.breaks)
    return table
