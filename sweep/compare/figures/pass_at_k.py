"""The figure `pass_at_k`: pass@k over k, one panel for each family, with bands over the problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from sweep.compare.figures.page import Heading, Legend, Page, Panels, drawn
from sweep.compare.figures.style import GREY, counted, label_of, looks, printable
from sweep.compare.pool import Row
from sweep.compare.problem_tables import over_problems
from sweep.compare.results import OverProblems
from sweep.compare.sentences import family_of
from sweep.compare.verdict import Verdict
from sweep.score.intervals import Interval

BASE: dict[str, Any] = {"color": GREY, "linestyle": (0, (7, 3)), "linewidth": 1.0}
UNTRAINED = "untrained model"
MOST_TICKS = 6


def draw(verdict: Verdict) -> Figure | None:
    """Return the figure, or None if of no row it is known that problems have several answers."""
    by = verdict.question.by
    families: dict[str, list[tuple[Row, OverProblems]]] = {}
    for row, found in over_problems(verdict):
        if found.base:
            families.setdefault(family_of(row, by), []).append((row, found))
    if not families:
        return None
    known = looks(verdict.rows, by)
    metric = verdict.comparison.metric
    heading = Heading(
        f"{verdict.comparison.title}: pass@k{metric.of_benchmark}",
        [
            "Line: the chance that one of k answers is right, mean over problems and n seeds. Band: 95 % interval for "
            "these weights on other problems; it says nothing of other seeds. All points of a line come from the same "
            "answers."
        ],
    )
    panels = Panels([printable(name) for name in families], "k", "pass@k in %")
    legend = Legend(_entries(verdict, families))
    page = Page(heading.height + panels.height + legend.height + 2 * 0.08)
    heading.put(page)
    ks = sorted({k for members in families.values() for _, found in members for k in found.base})
    for axes, members in zip(panels.put(page), families.values(), strict=True):
        for base in {str(found.base): found.base for _, found in members}.values():  # what rows share is drawn once
            _draw_curve(axes, base, BASE)
        for row, found in members:
            _draw_curve(axes, found.final, drawn(known[label_of(row, verdict.rows, by)]))
        _number(axes, ks)
    legend.put(page)
    return page.figure


def _entries(verdict: Verdict, families: Mapping[str, list[tuple[Row, OverProblems]]]) -> list[tuple[str, dict]]:
    rows = [row for members in families.values() for row, _ in members]
    shown = []
    for label, look in looks(verdict.rows, verdict.question.by).items():
        seeds = [len(row.gain) for row in rows if label_of(row, verdict.rows, verdict.question.by) == label]
        if seeds:
            shown.append((f"{label}, {counted(seeds)}", drawn(look)))
    return [*shown, (UNTRAINED, BASE)]


def _draw_curve(axes: Axes, curve: Mapping[int, Interval], how: dict) -> None:
    ks = sorted(curve)
    axes.plot(ks, [100 * curve[k].value for k in ks], **how)
    known = [(k, point.low, point.high) for k in ks if (point := curve[k]).low is not None and point.high is not None]
    if known:
        at, *bounds = zip(*known, strict=True)
        low, high = ([100 * bound for bound in side] for side in bounds)
        axes.fill_between(at, low, high, color=how["color"], alpha=0.14, linewidth=0)


def _number(axes: Axes, ks: list[int]) -> None:
    """Show the smallest k, the largest one and some between them at the axis, whose steps are doublings."""
    every = max(1, -(-len(ks) // MOST_TICKS))
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator([*ks[:-1:every], ks[-1]]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")
