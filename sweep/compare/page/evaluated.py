"""What the kept answers of a sweep show problem by problem: pass@k of each row, and the tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.compare.over_problems import with_problems
from sweep.compare.page.judged import Shown, grid_json
from sweep.compare.problem_tables import over_problems, problem_grid
from sweep.compare.results import CellResult
from sweep.compare.verdict import Verdict
from sweep.run.answer_places import of_model
from sweep.run.directory import RunDirectory
from sweep.score.intervals import Interval


def passes_json(shown: Shown, verdict: Verdict) -> dict[str, Any] | None:
    """Return pass@k before and after training of each row, and the table of the tests problem by problem.

    The intervals are over problems; None if no answers of a row are known, or the verdict is not one on the accuracy.
    """
    has_records = any(cell.entry.stages for cell in verdict.comparison.cells)
    judged = with_problems(verdict, every_row=True) if has_records else verdict
    places = {id(row): place for place, row in enumerate(judged.rows)}
    known = list(over_problems(judged))
    if not any(found.found or found.final for _, found in known):
        return None
    curves = [[places[id(row)], _curve(found.base), _curve(found.final)] for row, found in known if found.final]
    return {"benchmark": shown.benchmark or "", "curves": curves, "table": grid_json(problem_grid(judged))}


def _curve(curve: Mapping[int, Interval]) -> list[list[float | None]]:
    """Return [k, value, low, high, n] of each k, in per cent."""
    return [[k, *(_percent(number) for number in (at.value, at.low, at.high)), at.n] for k, at in curve.items()]


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 3)


def untrained_weights(root: Path, cell: CellResult) -> Path | None:
    """Return the directory for answers of the model that a cell began from; None if its records are not here."""
    baseline = RunDirectory(root / cell.entry.stages[0]).identity if cell.entry.stages else None
    model = (baseline or {}).get("model")
    return None if model is None else of_model(root, cell.model, model)


def cell_label(cell: CellResult) -> str:
    """Return the name of a cell: its values on all axes."""
    return " ".join(f"{axis}={value}" for axis, value in cell.axes.items() if value)
