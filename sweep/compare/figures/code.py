"""The figure `code`: accuracy against the share of answers with code, from the untrained model to each trained one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweep.compare.figures.page import Heading, Legend, Page, Panels, drawn
from sweep.compare.figures.style import GREY, Look, counted, label_of, looks, printable
from sweep.compare.pool import Row
from sweep.compare.results import CellResult
from sweep.compare.sentences import family_of
from sweep.compare.verdict import Verdict

BASE = {"color": GREY, "marker": "o", "markersize": 6, "markerfacecolor": "white", "linestyle": "none"}
NARROWEST = 5.0  # points of share that the axis shows at least
Place = tuple[float, float]  # share of code, accuracy: both in per cent


@dataclass(frozen=True)
class _Move:
    """Where a row began, and where each of its seeds ended."""

    look: Look
    start: Place
    ends: list[Place]

    @property
    def end(self) -> Place:
        return _mean(self.ends)


def draw(verdict: Verdict) -> Figure | None:
    """Where training moved each row; None where no row has accuracy and share of code before and after it."""
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
    """Keep shares that are nearly the same from being drawn as if they were far apart."""
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
        _mean([(100 * cell.base_code, 100 * cell.base_accuracy) for cell in cells]),
        [(100 * cell.final_code, 100 * cell.final_accuracy) for cell in cells],
    )


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
