"""Read the values over steps of a verdict's cells from their `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sweep.compare.curves import metrics_over_steps
from sweep.compare.metrics import Metric
from sweep.compare.results import CellResult
from sweep.compare.verdict import Verdict
from sweep.run.directory import RunDirectory
from sweep.run.series import Series, read_series


def with_curves(verdict: Verdict) -> Verdict:
    """Return the verdict with `curves` in its comparison: values over steps of its metric and of those shown with it.

    Each file is read once. A cell without a value of a metric is left out of that metric's curves.
    """
    metrics = metrics_over_steps(verdict.comparison.metric)
    curves: dict[str, dict[str, Series]] = {metric.name: {} for metric in metrics}
    for cell in verdict.comparison.cells:
        for name, series in _of_cell(cell, metrics).items():
            if series:
                curves[name][cell.signature] = series
    return replace(verdict, comparison=replace(verdict.comparison, curves=curves))


def _of_cell(cell: CellResult, metrics: Sequence[Metric]) -> dict[str, Series]:
    """Return the values of a cell's training by metric; of evaluation metrics only those of its own evaluation."""
    training = RunDirectory(Path(cell.training))
    benchmarks = training.evaluations
    columns = {metric: metric.columns(benchmarks) for metric in metrics}
    found = read_series(training.metrics, [name for of in columns.values() for name in (of.value, of.evaluation)])
    return {
        metric.name: {
            step: value
            for step, value in found[of.value].items()
            if not metric.of_evaluation or found[of.evaluation].get(step) == cell.evaluation
        }
        for metric, of in columns.items()
    }
