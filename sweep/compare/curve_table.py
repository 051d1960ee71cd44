"""Print values over steps in the terminal: a line of bars for each row of the comparison."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sweep.compare.curves import NO_CURVES, Curve, curves, metrics_over_steps
from sweep.compare.metrics import Metric
from sweep.compare.pool import telling
from sweep.compare.sparkline import shown_in, sparkline
from sweep.compare.verdict import Verdict
from sweep.shown import encoding_of, shown

WIDEST = 32  # most characters in a line of bars
LISTED = 6  # most steps that are listed; otherwise only the first and the last one are named


def print_curves(verdict: Verdict, console: Console) -> None:
    """Print a block for each metric with values over steps, and in it a line for each row: first value, bars, last
    value.
    """
    shown_any = False
    for metric in metrics_over_steps(verdict.comparison.metric):
        found = curves(verdict.comparison, verdict.rows, metric)
        if found:
            console.print()
            console.print(_heading(metric, found), markup=False, highlight=False, soft_wrap=True)
            console.print(_block(metric, found, telling(verdict.rows), console))
            shown_any = True
    if not shown_any:
        console.print(f"\n{NO_CURVES}", markup=False, highlight=False, soft_wrap=True)


def _heading(metric: Metric, found: Sequence[Curve]) -> str:
    steps, (low, high) = _steps(found), _range(found)
    listed = ", ".join(map(str, steps)) if len(steps) <= LISTED else f"{steps[0]} to {steps[-1]}"
    seeds = sorted({curve.seeds for curve in found})
    n = f"n = {seeds[0]}" if len(seeds) == 1 else f"n = {seeds[0]} to {seeds[-1]}"
    kind = f"one seed ({n})" if seeds == [1] else f"means over seeds ({n})"
    bars = f"bars from {metric.value(low)} to {metric.value(high)} in all lines"
    return f"{metric.title} over steps ({listed}), {kind}; {bars}"


def _block(metric: Metric, found: Sequence[Curve], names: Sequence[str], console: Console) -> Table:
    steps, (low, high) = _steps(found), _range(found)
    table = Table.grid(padding=(0, 1))
    are_alike = any(curve.row.apart for curve in found)
    for _ in range(len(names) + are_alike):
        table.add_column(overflow="fold")
    several = max(curve.seeds for curve in found) > 1
    sides: tuple[Literal["left", "right"], ...] = ("right", "left", "right", "left")
    for justify in sides if several else sides[:-1]:
        table.add_column(justify=justify, no_wrap=True)
    for curve in found:
        means = {point.step: point.mean for point in curve.points}
        bars = sparkline([means.get(step) for step in steps], min(WIDEST, len(steps)), low, high)
        first, last = curve.points[0], curve.points[-1]
        n = f"n = {last.n}" + (f" of {curve.seeds}" if last.n < curve.seeds else "")
        table.add_row(
            *(escape(shown(curve.row.named([axis]))) for axis in names),
            *[escape(shown(curve.row.apart))] * are_alike,
            metric.value(first.mean),
            shown_in(encoding_of(console.encoding, os.environ), bars),
            metric.value(last.mean),
            *([n] if several else []),
        )
    return table


def _steps(found: Sequence[Curve]) -> list[int]:
    return sorted({point.step for curve in found for point in curve.points})


def _range(found: Sequence[Curve]) -> tuple[float, float]:
    means = [point.mean for curve in found for point in curve.points]
    return min(means), max(means)
