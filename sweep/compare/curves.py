"""Values over steps, pooled over the seeds of each row. Pure: it reads no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.compare.metrics import ACCURACY, Metric
from sweep.compare.pool import Row
from sweep.compare.results import CellResult, Comparison

REWARDS = ("reward/true_mean", "reward/mean")  # shown beside the accuracy: what was right, what was rewarded
NO_CURVES = (
    "no values over steps are known; of a sweep they are read from its runs, and a file holds them if it was written "
    "with --curves --json"
)


@dataclass(frozen=True)
class Point:
    """The seeds' values at a step: their mean, the lowest and the highest one, and how many seeds have one."""

    step: int
    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Curve:
    """A row's values over steps, in the metric's own unit, by step; never empty.

    The band is that of the lowest and the highest seed. It is no interval: with few seeds it says what was seen, and
    it claims nothing about other seeds.
    """

    row: Row
    points: tuple[Point, ...]

    @property
    def seeds(self) -> int:
        """How many seeds the fullest step has."""
        return max(point.n for point in self.points)

    @property
    def is_whole(self) -> bool:
        """Whether every step has a value of as many seeds. The mean of fewer seeds is not to be joined with theirs."""
        return all(point.n == self.seeds for point in self.points)


def metrics_over_steps(metric: Metric) -> list[Metric]:
    """The metrics whose curves belong to a comparison of `metric`: itself, and beside the accuracy the rewards."""
    beside = REWARDS if metric.name == ACCURACY else ()
    return [Metric(name) for name in (metric.name, *beside)]


def curves(comparison: Comparison, rows: Sequence[Row], metric: Metric) -> list[Curve]:
    """A curve for each of `rows` that has a value of `metric` at a step of its training.

    Of a metric of the evaluation a curve begins with the untrained model's value at step 0 and ends with the result,
    where these are known and come from the same evaluation. There are none where the comparison was made without values
    over steps.
    """
    if metric.name not in comparison.curves:
        return []
    series = comparison.curves[metric.name]
    is_compared = metric.name == comparison.metric.name
    at_end = is_compared and comparison.metric.step is None
    found = []
    for row in rows:
        by_seed = {
            seed: _with_ends(cell, series.get(cell.signature, {}), is_compared, at_end)
            for seed, cell in row.by_seed.items()
        }
        if any(step > 0 for values in by_seed.values() for step in values):
            found.append(Curve(row, pooled(by_seed)))
    return found


def _with_ends(cell: CellResult, series: Mapping[int, float], is_compared: bool, at_end: bool) -> dict[int, float]:
    ends = {}
    if is_compared and cell.base is not None and not cell.unlike:
        ends[0] = cell.base
    if at_end and cell.final is not None and cell.length:
        ends[cell.length] = cell.final
    return {**ends, **series}


def pooled(by_seed: Mapping[int, Mapping[int, float]]) -> tuple[Point, ...]:
    """The values of several seeds, each by step, as points in the order of the steps."""
    at: dict[int, list[float]] = {}
    for values in by_seed.values():
        for step, value in values.items():
            at.setdefault(step, []).append(value)
    return tuple(
        Point(step, sum(values) / len(values), min(values), max(values), len(values))
        for step, values in sorted(at.items())
    )
