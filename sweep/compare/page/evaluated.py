"""What the kept answers of a sweep show problem by problem: transitions, and pass@k of each row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.compare.over_problems import with_problems
from sweep.compare.page.judged import Shown, grid_json
from sweep.compare.problem_tables import over_problems, problem_grid
from sweep.compare.results import CellResult, Comparison
from sweep.compare.transition_tables import problem_grids, transition_grid
from sweep.compare.transitions import Asked, Found, moved_rows
from sweep.compare.verdict import Verdict
from sweep.errors import UserError
from sweep.run.answer_places import of_model
from sweep.run.directory import RunDirectory
from sweep.score.intervals import Interval


def transitions_json(comparison: Comparison) -> dict[str, Any]:
    """Return the tables of `transitions` and their numbers, or in `missing` the reason why there are none.

    parts: of each row of the sweep its four contributions and its gain, in points, with the names of the four.
    """
    name = ", ".join(comparison.sweeps)
    cells = [cell.entry for cell in comparison.cells if cell.entry.stages]
    if not cells:
        return {"missing": "a comparison from a file holds no answers; name the sweep instead of the file"}
    try:
        found = moved_rows(comparison.root, name, cells, Asked())
    except UserError as error:
        return {"missing": str(error)}
    return {
        "table": grid_json(transition_grid(name, found.rows)),
        "parts": _parts(found),
        "problems": [grid_json(grid) for grid in problem_grids(name, found.rows)],
        "warnings": found.warnings,
    }


def _parts(found: Found) -> list[dict[str, Any]]:
    return [
        {
            "label": " ".join([*(value for value in row.axes.values() if value), row.benchmark]),
            "n": row.n,
            "parts": [[one.name, round(100 * one.contribution, 4)] for one in row.found.classes],
            "gain": round(100 * row.found.gain, 4),
        }
        for row in found.rows
    ]


def passes_json(shown: Shown, verdict: Verdict) -> dict[str, Any] | None:
    """Return pass@k before and after training of each row, and the table of the tests problem by problem.

    The intervals are over problems; None if no answers of a row are known, or the verdict is not one on the accuracy.
    """
    has_records = any(cell.entry.stages for cell in verdict.comparison.cells)
    judged = with_problems(verdict, every_row=True) if has_records else verdict
    places = {id(row): place for place, row in enumerate(judged.rows)}
    known = list(over_problems(judged))
    if not any(found.found for _, found in known):
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
