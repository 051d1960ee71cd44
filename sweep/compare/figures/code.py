"""The figure `code`: accuracy against the fraction of answers with code, before and after training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweep.compare.figures.page import Heading, Legend, Page, Panels, drawn
from sweep.compare.figures.style import GREY, Look, counted, label_of, looks, printable
from sweep.compare.pool import Row
from sweep.compare.results import CellResult
from sweep.compare.sentences import family_of
from sweep.compare.verdict import Verdict

BASE: dict[str, Any] = {"color": GREY, "marker": "o", "markersize": 6, "markerfacecolor": "white", "linestyle": "none"}
NARROWEST = 5.0  # the axis of code spans at least so many percentage points
Place = tuple[float, float]  # answers with code, accuracy: both in per cent


@dataclass(frozen=True)
class _Move:
    """The place of a row before training, and the place of each of its seeds after it."""

    look: Look
    start: Place
    ends: list[Place]

    @property
    def end(self) -> Place:
        return _mean(self.ends)


def draw(verdict: Verdict) -> Figure | None:
    """Return the figure, or None if no row has accuracy and code before and after training."""
    by, known = verdict.question.by, looks(verdict.rows, verdict.question.by)
    families: dict[str, list[_Move]] = {}
    for row in verdict.rows:
        cells = [cell for cell in row.by_seed.values() if _is_known(cell)]
        if cells:
            families.setdefault(family_of(row, by), []).append(_move(row, cells, known, verdict))
    if not families:
        return None
    moves = [move for members in families.values() for move in members]
    several = max(len(move.ends) for move in moves) > 1
    heading = Heading(
        f"{verdict.comparison.title}: accuracy and code, before and after training",
        ["Arrow: from the untrained model to the mean of the n trained ones." + " Dots: each seed." * several],
    )
    panels = Panels([printable(name) for name in families], "answers with code, %", "accuracy, %")
    legend = Legend([*_entries(moves, known), ("untrained model", BASE)])
    page = Page(heading.height + panels.height + legend.height + 2 * 0.08)
    heading.put(page)
    for axes, members in zip(panels.put(page), families.values(), strict=True):
        for move in members:
            _draw_move(axes, move)
        axes.margins(0.12)
    _widen(axes, [place[0] for move in moves for place in (move.start, *move.ends)])
    legend.put(page)
    return page.figure


def _widen(axes: Axes, shares: Sequence[float]) -> None:
    """Widen the axis of code, so that nearly equal values are not drawn far apart."""
    low, high = min(shares), max(shares)
    if high - low < NARROWEST:
        start = max(low - NARROWEST / 2, -0.5)
        axes.set_xlim(start, start + max(2 * NARROWEST, high - start))


def _is_known(cell: CellResult) -> bool:
    numbers = (cell.base_accuracy, cell.final_accuracy, cell.base_code, cell.final_code)
    return None not in numbers and not cell.unlike


def _move(row: Row, cells: Sequence[CellResult], known: dict[str, Look], verdict: Verdict) -> _Move:
    return _Move(
        known[label_of(row, verdict.rows, verdict.question.by)],
        _mean([_place(cell.base_code, cell.base_accuracy) for cell in cells]),
        [_place(cell.final_code, cell.final_accuracy) for cell in cells],
    )


def _place(code: float | None, accuracy: float | None) -> Place:
    """Return the place of a cell in the figure, in per cent. Both values must be known."""
    assert code is not None and accuracy is not None
    return 100 * code, 100 * accuracy


def _mean(places: Sequence[Place]) -> Place:
    return tuple(sum(values) / len(places) for values in zip(*places, strict=True))


def _entries(moves: Sequence[_Move], known: dict[str, Look]) -> list[tuple[str, dict]]:
    numbers = {label: [len(move.ends) for move in moves if move.look.label == label] for label in known}
    return [(f"{label}, {counted(numbers[label])}", drawn(look)) for label, look in known.items() if numbers[label]]


def _draw_move(axes: Axes, move: _Move) -> None:
    how = drawn(move.look)
    axes.plot(*move.start, **BASE, zorder=2)
    axes.annotate(
        "",
        xy=move.end,
        xytext=move.start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": move.look.colour,
            "linestyle": how["linestyle"],
            "linewidth": 1.2,
            "shrinkA": 3,
            "shrinkB": 2,
            "mutation_scale": 7,
        },
    )
    if len(move.ends) > 1:
        axes.plot(
            *zip(*move.ends, strict=True), color=move.look.colour, marker=".", markersize=3, linestyle="none", alpha=0.6
        )
    axes.plot(*move.end, **{**how, "linestyle": "none"}, markersize=5, zorder=4)
