"""Read the values over steps of the cells of a comparison, from their `metrics.jsonl`. Beside `cells`, no other module
here reads records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sweep.compare.metrics import EVALUATED
from sweep.compare.results import CellResult, Comparison
from sweep.run.directory import RunDirectory
from sweep.run.series import Series, read_series

EVALUATION = "evaluation"  # in a row with values of an evaluation: its signature


def with_curves(comparison: Comparison, names: Sequence[str]) -> Comparison:
    """The comparison with the values over steps of the metrics `names`, as its `curves`.

    Each file is read once. A cell without a value of a metric is left out of that metric's curves.
    """
    curves: dict[str, dict[str, Series]] = {name: {} for name in names}
    for cell in comparison.cells:
        for name, series in _of_cell(cell, names).items():
            if series:
                curves[name][cell.signature] = series
    return replace(comparison, curves=curves)


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
