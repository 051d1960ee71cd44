"""Read what the page shows of each cell beside the comparison: its rows of metrics, and its results by benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.compare.metrics import EVALUATED
from sweep.compare.results import CellResult
from sweep.config.keys import OF_OLDER_VERSIONS
from sweep.errors import DamagedFile
from sweep.run.directory import RunDirectory
from sweep.run.series import read_rows

MACHINE = ("timing_s/", "perf/", "memory_gb/")  # metrics that say how a machine fared, and nothing of the result
COUNTS = ("problems", "samples_per_problem")
NO_METRICS = (*COUNTS, "step")  # numbers of a result that are not compared
Series = dict[int, float]  # a value by step


@dataclass(frozen=True)
class Reading:
    """The records of one cell.

    series: values by step, by the metric's name; those of evaluations are named `eval/KEY` for the first benchmark and
    `eval/BENCHMARK/KEY` for the others. last: the last step of its rows, 0 if there is none. evaluated: the signatures
    of the first benchmark's evaluation, by step. final, base: what `result.json` of the trained and of the untrained
    model holds; {} if there is none. identities: of its evaluations, by benchmark.
    """

    series: dict[str, Series]
    last: int
    evaluated: dict[int, str]
    final: dict
    base: dict
    identities: dict[str, dict]

    def benchmarks(self) -> list[str]:
        """Return the names of the benchmarks that its results are of; the first one comes first."""
        return list(by_benchmark(self.final) or by_benchmark(self.base))


def by_benchmark(result: dict) -> dict[str, dict]:
    """Return the numbers of a result by benchmark; a result of an older version is of one benchmark, without a name."""
    if "benchmarks" in result or "accuracy" not in result:
        return result.get("benchmarks", {})
    return {OF_OLDER_VERSIONS: result}


def read_cells(cells: Sequence[CellResult], root: Path, all_metrics: bool, damaged: list[str]) -> list[Reading]:
    """Return the records of each cell, in order. A cell whose directories are not here has an empty reading.

    Args:
        root: the output directory, to which the records of stages are relative.
        all_metrics: also read times, speeds and memory.
        damaged: takes a message for each file of metrics with a line that is no row; the rows before it are read.
    """
    return [_read(cell, root, all_metrics, damaged) for cell in cells]


def _read(cell: CellResult, root: Path, all_metrics: bool, damaged: list[str]) -> Reading:
    series: dict[str, Series] = {}
    evaluated: dict[int, str] = {}
    last = 0
    if cell.training:
        for row in _whole_rows(RunDirectory(cell.training).metrics, damaged):
            step = last = row["step"]
            if isinstance(row.get("evaluation"), str):
                evaluated[step] = row["evaluation"]
            for name, value in _numbers(row, all_metrics):
                series.setdefault(name, {})[step] = value
    final = RunDirectory(cell.directory).read_result() or {}
    stages = cell.entry.stages
    base = (RunDirectory(root / stages[0]).read_result() or {}) if stages else {}
    return Reading(series, last, evaluated, final, base, RunDirectory(cell.directory).evaluations)


def _whole_rows(file: Path, damaged: list[str]) -> Iterable[dict]:
    try:
        yield from read_rows(file)
    except DamagedFile as error:
        damaged.append(str(error))


def _numbers(row: dict, all_metrics: bool) -> Iterable[tuple[str, float]]:
    """Yield the metrics of a row whose value is a number."""
    for name, value in row.items():
        if "/" in name and _is_number(value) and (all_metrics or not name.startswith(MACHINE)):
            yield name, float(value)


def trained_metrics(readings: Iterable[Reading]) -> list[str]:
    """Return the names of all metrics of training, in the order in which rows have them."""
    return list(dict.fromkeys(n for one in readings for n in one.series if not n.startswith(EVALUATED)))


def benchmarks_of(readings: Iterable[Reading]) -> list[str]:
    """Return the names of the benchmarks that results are of; the first one of each cell comes first."""
    return list(dict.fromkeys(name for one in readings for name in one.benchmarks()))


def keys_of(readings: Iterable[Reading], benchmark: str) -> list[str]:
    """Return the numbers that results have by a benchmark."""
    results = [by_benchmark(r).get(benchmark, {}) for one in readings for r in (one.final, one.base)]
    every = [(key, value) for of_result in results for key, value in of_result.items()]
    return list(dict.fromkeys(key for key, value in every if key not in NO_METRICS and _is_number(value)))


def name_of(place: int, benchmark: str, key: str) -> str:
    """Return the name of a number in `metrics.jsonl`; `place`: of the benchmark among those of a cell."""
    return f"{EVALUATED}{key}" if place == 0 else f"{EVALUATED}{benchmark}/{key}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
