"""The figure `curves`: the metric over steps, one panel for each family, with bands over the seeds."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweep.compare.curves import Curve, curves
from sweep.compare.figures.page import Heading, Legend, Page, Panels, drawn, number_axis
from sweep.compare.figures.style import GREY, Look, counted, label_of, looks, printable
from sweep.compare.metrics import Metric
from sweep.compare.sentences import family_of
from sweep.compare.verdict import Verdict

BASE: dict[str, Any] = {"color": GREY, "linestyle": (0, (7, 3)), "linewidth": 0.8}
UNTRAINED = "untrained model"
MOST_MARKERS = 8  # most markers on a line


def draw(verdict: Verdict) -> Figure | None:
    """Return the figure of the verdict's metric, or None if no row has a value at a step."""
    compared = verdict.comparison.metric
    metric = Metric(compared.name, benchmark=compared.benchmark)
    by = verdict.question.by
    found = curves(verdict.comparison, verdict.rows, metric)
    if not found:
        return None
    families: dict[str, list[Curve]] = {}
    for curve in found:  # the rows of a family need not be next to each other
        families.setdefault(family_of(curve.row, by), []).append(curve)
    known, of_row = looks(verdict.rows, by), {id(c): label_of(c.row, verdict.rows, by) for c in found}
    bases = {name: _bases(members) for name, members in families.items()}
    heading = Heading(f"{verdict.comparison.title}: {metric.title} over steps", _notes(found))
    panels = Panels([printable(name) for name in families], "step", metric.title)
    legend = Legend(_entries(found, known, of_row, any(bases.values())))
    page = Page(heading.height + panels.height + legend.height + 2 * 0.08)
    heading.put(page)
    for axes, (name, members) in zip(panels.put(page), families.items(), strict=True):
        for base in bases[name]:
            axes.axhline(base * metric.scale, **BASE)
        for curve in members:
            _draw_curve(axes, curve, known[of_row[id(curve)]], metric)
        number_axis(axes.xaxis, 5, whole=True)
    legend.put(page)
    return page.figure


def _bases(members: list[Curve]) -> list[float]:
    """Return the untrained model's values in a family: one for each evaluation and seed that has its own."""
    return sorted({base for curve in members for base in curve.row.base.values()})


def _notes(found: list[Curve]) -> list[str]:
    seeds = [curve.seeds for curve in found]
    notes = []
    if max(seeds) > 1:
        notes.append(
            "Line: mean over n seeds. Band: from the lowest to the highest seed; it is no confidence interval."
        )
    if min(seeds) == 1:
        notes.append("A line without a band is one seed (n = 1), which shows no spread.")
    if not all(curve.is_whole for curve in found):
        notes.append("Pale: steps for which some of the row's seeds have no value.")
    return notes


def _entries(
    found: list[Curve], known: dict[str, Look], of_row: dict[int, str], with_base: bool
) -> list[tuple[str, dict]]:
    shown = []
    for label, look in known.items():
        seeds = [curve.seeds for curve in found if of_row[id(curve)] == label]
        if seeds:
            shown.append((f"{label}, {counted(seeds)}", drawn(look)))
    return [*shown, (UNTRAINED, BASE)] if with_base else shown


def _draw_curve(axes: Axes, curve: Curve, look: Look, metric: Metric) -> None:
    steps, how = [point.step for point in curve.points], drawn(look)

    def values(name: str, all_of_them: bool = False) -> list[float]:
        """By step; a gap where seeds are missing, whose neighbours no line may join."""
        return [
            getattr(point, name) * metric.scale if all_of_them or point.n == curve.seeds else math.nan
            for point in curve.points
        ]

    if not curve.is_whole:
        axes.plot(steps, values("mean", all_of_them=True), color=look.colour, alpha=0.3)
    if curve.seeds > 1:
        axes.fill_between(steps, values("low"), values("high"), color=look.colour, alpha=0.18, linewidth=0)
    every = max(1, -(-len(steps) // MOST_MARKERS))
    axes.plot(steps, values("mean"), markevery=every, **how)
