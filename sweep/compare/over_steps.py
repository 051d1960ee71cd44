"""Read the values over steps of the cells of a verdict, from their `metrics.jsonl`.

Beside `cells`, no other module here reads what runs wrote.
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

EVALUATION = "evaluation"  # in a row with values of an evaluation: its signature


def with_curves(verdict: Verdict) -> Verdict:
    """The verdict with the values over steps of its metric, and what is shown beside it, as its comparison's `curves`.

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
    """By metric, what the training of a cell has; of the evaluation only what comes from the cell's own."""
    found = read_series(RunDirectory(Path(cell.training)).metrics, [*names, EVALUATION])
    evaluations = found.pop(EVALUATION)
    return {
        name: {step: value for step, value in series.items() if evaluations.get(step) == cell.evaluation}
        if name.startswith(EVALUATED)
        else series
        for name, series in found.items()
    }
