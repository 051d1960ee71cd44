"""Read the values over steps of a verdict's cells from their `metrics.jsonl`.

Only this module and `cells` read records in this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sweep.compare.curves import metrics_over_steps
from sweep.compare.metrics import EVALUATED
from sweep.compare.results import CellResult
from sweep.compare.verdict import Verdict
from sweep.run.directory import RunDirectory
from sweep.run.series import Series, read_series

EVALUATION = "evaluation"  # the column with the signature of the evaluation that a row's values come from


def with_curves(verdict: Verdict) -> Verdict:
    """Return the verdict with `curves` in its comparison: values over steps of its metric and of those shown with it.

    Each file is read once. A cell without a value of a metric is left out of that metric's curves.
    """
    names = [metric.name for metric in metrics_over_steps(verdict.comparison.metric)]
    curves: dict[str, dict[str, Series]] = {name: {} for name in names}
    for cell in verdict.comparison.cells:
        for name, series in _of_cell(cell, names).items():
            if series:
                curves[name][cell.signature] = series
    return replace(verdict, comparison=replace(verdict.comparison, curves=curves))


def _of_cell(cell: CellResult, names: Sequence[str]) -> dict[str, Series]:
    """Return the values of a cell's training by metric; of evaluation metrics only those of its own evaluation."""
    found = read_series(RunDirectory(Path(cell.training)).metrics, [*names, EVALUATION])
    evaluations = found.pop(EVALUATION)
    return {
        name: {step: value for step, value in series.items() if evaluations.get(step) == cell.evaluation}
        if name.startswith(EVALUATED)
        else series
        for name, series in found.items()
    }
