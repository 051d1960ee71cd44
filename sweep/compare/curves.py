"""Values over steps, pooled over the seeds of each row. Pure: it reads no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.compare.metrics import ACCURACY, Metric
from sweep.compare.pool import Row
from sweep.compare.results import CellResult, Comparison

REWARDS = ("reward/true_mean", "reward/mean")  # shown with the accuracy: fraction right, mean reward
NO_CURVES = (
    "no values over steps are known; of a sweep they are read from its runs, and a file holds them if it was written "
    "with --curves --json"
)


@dataclass(frozen=True)
class Point:
    """The seeds' values at one step: mean, lowest and highest value, and the number of seeds that have a value."""

    step: int
    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Curve:
    """A row's values over steps, in the metric's own unit, in the order of the steps; never empty.

    The band spans the lowest and the highest seed. It is not a confidence interval: it shows the observed seeds and
    makes no statement about others.
    """

    row: Row
    points: tuple[Point, ...]

    @property
    def seeds(self) -> int:
        """The number of seeds at the step that has most."""
        return max(point.n for point in self.points)

    @property
    def is_whole(self) -> bool:
        """True if every step has a value from the same number of seeds. Means of different seeds must not be joined by
        a line.
        """
        return all(point.n == self.seeds for point in self.points)


def metrics_over_steps(metric: Metric) -> list[Metric]:
    """Return the metrics whose curves belong to a comparison of `metric`: itself, and with the accuracy the rewards."""
    beside = REWARDS if metric.name == ACCURACY else ()
    return [Metric(metric.name, benchmark=metric.benchmark), *map(Metric, beside)]


def curves(comparison: Comparison, rows: Sequence[Row], metric: Metric) -> list[Curve]:
    """Return a curve for each of `rows` that has a value of `metric` at a step of its training.

    A curve of an evaluation metric begins with the untrained model's value at step 0 and ends with the result, if these
    are known and come from the same evaluation. The list is empty if the comparison was made without values over steps.
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
    """Return the values of several seeds, each by step, as points in the order of the steps."""
    at: dict[int, list[float]] = {}
    for values in by_seed.values():
        for step, value in values.items():
            at.setdefault(step, []).append(value)
    return tuple(
        Point(step, sum(values) / len(values), min(values), max(values), len(values))
        for step, values in sorted(at.items())
    )
