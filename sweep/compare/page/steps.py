"""The values over steps of each cell, as the page draws them: with the ends that `compare --curves` adds. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.compare.metrics import EVALUATED
from sweep.compare.page.readings import Reading, Series, by_benchmark, keys_of, name_of
from sweep.compare.results import CellResult, Comparison


def steps_of_cells(comparison: Comparison, readings: Sequence[Reading]) -> list[dict[str, Series]]:
    """Return of each cell its values by step, by the metric's name.

    A metric of an evaluation begins with the untrained model's value at step 0 and ends with the result, where these
    come from the same evaluation. A comparison from a file has the values that the file holds.
    """
    found = [_of_cell(cell, reading) for cell, reading in zip(comparison.cells, readings, strict=True)]
    for name, by_cell in comparison.curves.items():
        for cell, series in zip(comparison.cells, found, strict=True):
            values = _compared_ends(cell, comparison, name) | by_cell.get(cell.signature, {})
            if values:
                series.setdefault(name, values)
    return found


def _compared_ends(cell: CellResult, comparison: Comparison, name: str) -> Series:
    """Return the ends that a file has of the compared metric, by step."""
    if name != comparison.metric.name:
        return {}
    base = None if cell.unlike else cell.base
    final = cell.final if comparison.metric.step is None and cell.length else None
    return {step: value for step, value in ((0, base), (cell.length, final)) if value is not None}


def _of_cell(cell: CellResult, reading: Reading) -> dict[str, Series]:
    found = {name: values for name, values in reading.series.items() if not name.startswith(EVALUATED)}
    for place, benchmark in enumerate(reading.benchmarks()):
        for key in keys_of([reading], benchmark):
            name = name_of(place, benchmark, key)
            series = reading.series.get(name, {})
            own = {step: v for step, v in series.items() if place or reading.evaluated.get(step) == cell.evaluation}
            values = _ends(cell, reading, benchmark, key) | own
            if values:
                found[name] = values
    return found


def _ends(cell: CellResult, reading: Reading, benchmark: str, key: str) -> Series:
    """Return the value before training and the one after it, by step."""
    final, base = (by_benchmark(result).get(benchmark, {}) for result in (reading.final, reading.base))
    alike = not final or not base or final.get("evaluation") == base.get("evaluation")
    ends = {0: base.get(key) if alike else None, cell.length: final.get(key) if cell.length else None}
    return {step: float(value) for step, value in ends.items() if value is not None}
