"""The tables of transitions, and their form in JSON. Pure: nothing is read or printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sweep.compare.tables import Grid
from sweep.compare.transitions import Moved

NUMBERS = ["share", "before", "after", "contribution", "n"]
SHOWN_PROBLEMS = 20  # of a row that are fixed, and that are broken


def axes_of(rows: Sequence[Moved]) -> list[str]:
    """Return the axes by which the rows are told apart, model and reward always."""
    names = list(dict.fromkeys(axis for row in rows for axis in row.axes))
    return [name for name in names if name in ("model", "reward") or len({row.axes.get(name) for row in rows}) > 1]


def named(row: Moved, rows: Sequence[Moved]) -> list[str]:
    """Return the values that tell a row from the others: those of its axes, and its benchmark, with the signature of
    the evaluation where it was asked in several ways.
    """
    several = len({other.sign for other in rows if other.benchmark == row.benchmark}) > 1
    benchmark = f"{row.benchmark}-{row.sign}" if several else row.benchmark
    return [*(row.axes.get(name, "") for name in axes_of(rows)), benchmark]


def weights(step: int | None, row: Moved, *, last: bool) -> str:
    """Return what the weights of one side of a row are called."""
    if step is None:
        return "last steps" if last else "untrained"
    return f"step {step}"


def transition_grid(sweep: str, rows: Sequence[Moved]) -> Grid:
    """Return the table: four lines for the classes of each row, and one for all of its pairs."""
    lines: list[list[str]] = []
    for row in rows:
        names = named(row, rows)
        for one in row.found.classes:
            numbers = [_percent(one.share), _percent(one.before), _percent(one.after), _percent(one.contribution, "+")]
            lines.append([*names, one.name, *numbers, str(row.n)])
            names = [""] * len(names)
        found = row.found
        ends = f"all: {weights(row.before, row, last=False)} → {weights(row.after, row, last=True)}"
        numbers = [_percent(1.0), _percent(found.before), _percent(found.after), _percent(found.gain, "+")]
        lines.append([*names, ends, *numbers, str(row.n)])
    breaks = frozenset(range(4, len(lines), 5))
    title = f"sweep {sweep}: transitions by {rows[0].found.behaviour}, in % of all pairs of answers"
    foot = [
        "share: of all pairs of an answer before and one after to the same problem. before, after: right ones among "
        "these. contribution: share × (after − before); the four sum to the gain. n: seeds, over which all are means."
    ]
    columns = [*axes_of(rows), "benchmark", "transition", *NUMBERS]
    return Grid(title, columns, lines, frozenset(NUMBERS), breaks, foot)


def problem_grids(sweep: str, rows: Sequence[Moved], most: int = SHOWN_PROBLEMS) -> list[Grid]:
    """Return for each row a table of the problems that are answered rightly more often, or less often, than before."""
    return [_problem_grid(sweep, row, rows, most) for row in rows]


def _problem_grid(sweep: str, row: Moved, rows: Sequence[Moved], most: int) -> Grid:
    lines, foot, breaks = [], [], set()
    for word, changes in (("fixed", row.found.fixed), ("broken", row.found.broken)):
        for change in changes[:most]:
            gain = change.after - change.before
            lines.append([word, change.problem, _percent(change.before), _percent(change.after), _percent(gain, "+")])
        strict = sum(change.strict for change in changes)
        shown = f"; the {most} largest changes are shown" if len(changes) > most else ""
        foot.append(f"{len(changes)} of {row.found.problems} problems {word}, {strict} of them wholly{shown}.")
        breaks.add(len(lines) - 1)
    title = f"sweep {sweep}: problems of {' '.join(filter(None, named(row, rows)))}, right answers in %"
    numbers = ["before", "after", "difference"]
    return Grid(title, ["", "problem", *numbers], lines, frozenset(numbers), frozenset(breaks), foot)


def _percent(value: float | None, sign: str = "") -> str:
    if value is None:
        return ""
    # Rounded twice, because 13.25 is 13.249999… in some sums and not in others. + 0.0: no minus before a zero.
    return f"{round(round(100 * value, 9), 1) + 0.0:{sign}.1f}"


def transitions_json(sweep: str, rows: Sequence[Moved], warnings: Sequence[str]) -> dict:
    """Return everything that was found. Numbers are shares between 0 and 1, and no percentages."""
    shown = [{**asdict(row), "found": asdict(row.found)} for row in rows]
    for row in shown:
        del row["found"]["starts"], row["found"]["ends"]
    return {"sweep": sweep, "rows": shown, "warnings": list(warnings)}
