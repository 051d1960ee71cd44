"""Print a verdict in the terminal: tables, sentences, what to run next, warnings."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sweep.compare.more_tables import cost_lines
from sweep.compare.overview import overview_grid
from sweep.compare.problem_tables import problem_lines
from sweep.compare.tables import INTERVAL, Grid, grids
from sweep.compare.verdict import Verdict
from sweep.shown import shown_lines

WIDE = 10_000  # characters; more than any table needs
NARROW_NAME = 8  # a name of at least so many characters gets at least so many columns
CAVEAT = (
    "The minis' corpora were built to differ this way: these numbers test the pipeline and are no evidence for or "
    "against the paper."
)


def print_verdict(verdict: Verdict, console: Console, more: Sequence[Grid] = ()) -> None:
    """Print the whole verdict, as `python -m sweep compare` does. `more` are tables that options asked for."""
    print_verdicts([verdict], console, [more])


def print_verdicts(verdicts: Sequence[Verdict], console: Console, more: Sequence[Sequence[Grid]]) -> None:
    """Print verdicts on the same cells by one or several benchmarks: tables and sentences of each, then the rest once.

    Args:
        more: the tables that options asked for, of each verdict.
    """
    for verdict, others in zip(verdicts, more, strict=True):
        _print_grids([*grids(verdict), *others], console)
        console.print()
        print_lines(console, [*verdict.sentences, *problem_lines(verdict)])
    if len(verdicts) > 1:
        console.print()
        _print_grids([overview_grid(verdicts)], console)
    for suggestion in dict.fromkeys(one for verdict in verdicts for one in verdict.suggestions):
        console.print()
        print_lines(console, [f"next ({suggestion.why}):", f"  {suggestion.command}"])
    if warnings := list(dict.fromkeys(line for verdict in verdicts for line in verdict.warnings)):
        console.print()
        print_lines(console, warnings)
    comparison = verdicts[0].comparison
    print_lines(console, cost_lines(verdicts[0]))
    console.print(f"run directories: {comparison.root / 'cells'}", soft_wrap=True)
    if any(cell.model.endswith("_mini") for cell in comparison.cells):
        console.print(CAVEAT, style="dim")


def _print_grids(shown: Sequence[Grid], console: Console) -> None:
    for grid in shown:
        print_grid(grid, console)
        print_lines(console, grid.foot)


def print_lines(console: Console, lines: Sequence[str]) -> None:
    """Print lines of text as they are; characters that control terminals are escaped."""
    for line in lines:
        console.print(shown_lines(line), markup=False, highlight=False, soft_wrap=True)


def print_grid(grid: Grid, console: Console) -> None:
    """Print the grid with a frame; if the terminal is too narrow for it, without one and with broken column heads.

    If the terminal is too narrow for that as well, the table is printed wider than the terminal, which breaks its
    lines: otherwise names would be cut to a few letters a line.
    """
    framed = _filled(grid, Table(title=_titled(grid), title_justify="left"))
    if _width(framed, console) <= console.width:
        console.print(framed)
        return
    bare, least = (_filled(grid, _bare(grid), broken=True, widest_name=widest) for widest in (None, NARROW_NAME))
    if (needed := _width(least, console)) > console.width:
        bare.width = needed
    console.print(bare, crop=False)


def _width(table: Table, console: Console) -> int:
    return console.measure(table, options=console.options.update(width=WIDE)).maximum


def _titled(grid: Grid) -> str:
    return escape(shown_lines(grid.title))


def _bare(grid: Grid) -> Table:
    return Table(title=_titled(grid), title_justify="left", box=SIMPLE_HEAD, padding=0)


def _filled(grid: Grid, table: Table, broken: bool = False, widest_name: int | None = None) -> Table:
    for column in grid.columns:
        is_number = column in grid.numbers
        head = column.replace(" ", "\n") if is_number and broken and column != INTERVAL else column
        table.add_column(
            escape(shown_lines(head)),
            justify="right" if is_number else "left",
            no_wrap=is_number,
            overflow="fold",
            max_width=None if is_number else widest_name,
        )
    for place, row in enumerate(grid.rows):
        table.add_row(*(escape(shown_lines(value)) for value in row), end_section=place in grid.breaks)
    return table
