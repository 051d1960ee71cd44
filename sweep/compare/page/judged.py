"""The verdict by every metric of the page: the same tests and words as `compare --metric NAME` has. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sweep.compare.contrasts import Tested
from sweep.compare.figures.style import label_of as label_within
from sweep.compare.figures.style import looks
from sweep.compare.metrics import EVALUATED, Metric
from sweep.compare.page.readings import (
    COUNTS,
    Reading,
    benchmarks_of,
    by_benchmark,
    keys_of,
    name_of,
    trained_metrics,
)
from sweep.compare.problem_tables import problem_lines
from sweep.compare.results import CellResult
from sweep.compare.sentences import family_of
from sweep.compare.statistics import mean_estimate
from sweep.compare.tables import Grid, across_grid, contrast_grid, result_grid
from sweep.compare.verdict import Verdict, judge
from sweep.run.identity import signature


@dataclass(frozen=True)
class Shown:
    """A metric that the page shows. benchmark: None for a metric of training, and of a sweep without benchmarks.

    name: as `metrics.jsonl` has it for that benchmark. metric: what `compare` takes it for.
    """

    name: str
    metric: Metric
    benchmark: str | None = None

    @property
    def title(self) -> str:
        """Its name in titles, with its unit."""
        told = self.benchmark is None or self.metric.benchmark is not None
        return self.metric.title if told else f"{self.metric.title} on {self.benchmark}"


def compared(verdict: Verdict, readings: Sequence[Reading]) -> Shown:
    """Return the metric that a verdict is of."""
    metric, names = verdict.comparison.metric, benchmarks_of(readings)
    first = names[0] if names and metric.of_evaluation else None
    return Shown(metric.columns(names).value, metric, metric.benchmark or first)


def shown_metrics(step: int | None, readings: Sequence[Reading]) -> list[Shown]:
    """Return the metrics of each benchmark, then those of training, at a step or (None) at the end."""
    found = []
    for place, benchmark in enumerate(benchmarks_of(readings)):
        for key in keys_of(readings, benchmark):
            metric = Metric(f"{EVALUATED}{key}", step, benchmark if place else None)
            found.append(Shown(name_of(place, benchmark, key), metric, benchmark))
    return [*found, *(Shown(name, Metric(name, step)) for name in trained_metrics(readings))]


def judged_by(verdict: Verdict, readings: Sequence[Reading], shown: Shown) -> Verdict:
    """Return the verdict by another metric on the same cells, with the same question."""
    comparison = verdict.comparison
    cells = [_by(cell, reading, shown) for cell, reading in zip(comparison.cells, readings, strict=True)]
    known = {signature(one): one for reading in readings for one in reading.identities.values()}
    asked: dict[str, Any] = {
        "metric": shown.metric,
        "evaluations": comparison.evaluations | known,
        "curves": {},
        "problems": [],
    }
    return judge(replace(comparison, cells=cells, **asked), verdict.question)


def same_cells(verdict: Verdict, other: Verdict) -> Verdict:
    """Return the verdict `other`, of another benchmark, on the cells of `verdict` in their order."""
    known = {cell.signature: cell for cell in other.comparison.cells}
    fields = ("base", "final", "unlike", "evaluation", "answers", "counted")
    none = dict.fromkeys(fields) | {"unlike": ""}
    cells = [
        replace(
            cell,
            **({name: getattr(known[cell.signature], name) for name in fields} if cell.signature in known else none),
        )
        for cell in verdict.comparison.cells
    ]
    return judge(replace(other.comparison, cells=cells), other.question)


def _by(cell: CellResult, reading: Reading, shown: Shown) -> CellResult:
    """Return the cell with its numbers by a metric."""
    step = shown.metric.step
    if shown.benchmark is None:
        series = reading.series.get(shown.name, {})
        last = series.get(reading.last) if reading.final else None
        return replace(cell, base=None, final=last if step is None else series.get(step))
    final, base = (by_benchmark(result).get(shown.benchmark, {}) for result in (reading.final, reading.base))
    signs = final.get("evaluation"), base.get("evaluation")
    is_unlike = None not in signs and signs[0] != signs[1]
    value = final.get(shown.metric.key) if step is None else reading.series.get(shown.name, {}).get(step)
    problems, samples = ((final or base).get(name) for name in COUNTS)
    return replace(
        cell,
        base=base.get(shown.metric.key),
        final=value,
        unlike=cell.unlike or ("final and base were not evaluated alike" if is_unlike else ""),
        evaluation=signs[0] or signs[1],
        answers=problems * samples if problems and samples else None,
        counted=(problems, samples) if problems and samples else None,
    )


def rows_json(verdict: Verdict) -> list[dict[str, Any]]:
    """Return the rows of the comparison: what they are called, how they are drawn, and their cells by place."""
    by, rows = verdict.question.by, verdict.rows
    known = looks(rows, by)
    places = {id(cell): place for place, cell in enumerate(verdict.comparison.cells)}
    found = []
    for row in rows:
        look = known[label_within(row, rows, by)]
        found.append(
            {
                "axes": row.axes,
                "family": family_of(row, by),
                "label": look.label,
                "colour": look.colour,
                "dashes": look.dashes,
                "cells": [[seed, places[id(cell)]] for seed, cell in row.by_seed.items()],
            }
        )
    return found


def metric_json(shown: Shown, verdict: Verdict) -> dict[str, Any]:
    """Return what the page says of one metric: sentences, tables, and the numbers of heat map and intervals.

    Numbers are in the table's unit. `values`: of each row [base, final, gain], each [mean, low, high, n] or None.
    `tested`: [difference, low, high, told apart] of each line of the table of contrasts.
    """
    metric = shown.metric
    contrasts = contrast_grid(verdict)
    tested: list[Tested] = [*verdict.findings.contrasts, *verdict.findings.changes]
    return {
        "name": shown.name,
        "title": shown.title,
        "benchmark": shown.benchmark,
        "scale": metric.scale,
        "unit": metric.unit.strip() or "units of the metric",
        "evaluated": metric.of_evaluation,
        "sentences": [*verdict.sentences, *problem_lines(verdict)],
        "values": [[_mean(values, metric) for values in (r.base, r.final, r.gain)] for r in verdict.rows],
        "results": grid_json(result_grid(verdict)),
        "contrasts": grid_json(contrasts) if contrasts else None,
        "tested": [_tested(one, metric) for one in tested],
        "across": grid_json(grid) if (grid := across_grid(verdict)) else None,
    }


def _mean(values: dict[int, float], metric: Metric) -> list[float | int | None] | None:
    if not values:
        return None
    mean = mean_estimate(list(values.values()))
    return [*(_scaled(number, metric) for number in (mean.value, mean.low, mean.high)), mean.n]


def _tested(tested: Tested, metric: Metric) -> list[float | bool | None]:
    numbers = (tested.estimate.value, tested.estimate.low, tested.estimate.high)
    return [*(_scaled(number, metric) for number in numbers), tested.told_apart]


def _scaled(number: float | None, metric: Metric) -> float | None:
    return None if number is None else float(f"{metric.scale * number:.10g}")


def grid_json(grid: Grid) -> dict[str, Any]:
    """Return a table as the page draws it."""
    numbers = [column in grid.numbers for column in grid.columns]
    return {
        "title": grid.title,
        "columns": grid.columns,
        "numbers": numbers,
        "rows": grid.rows,
        "breaks": sorted(grid.breaks),
        "foot": grid.foot,
    }


def every_metric(verdicts: Sequence[Verdict], readings: Sequence[Reading]) -> Iterator[tuple[Shown, Verdict]]:
    """Yield the metrics that the page shows, each with its verdict: the compared ones first, then the others of which
    some cell has a value.
    """
    first = verdicts[0]
    seen = set()
    for verdict in verdicts:
        shown = compared(verdict, readings)
        seen.add(shown.name)
        yield shown, verdict if verdict is first else same_cells(first, verdict)
    for shown in shown_metrics(first.comparison.metric.step, readings):
        if shown.name not in seen:
            judged = judged_by(first, readings, shown)
            if any(row.final or row.base for row in judged.rows):
                yield shown, judged
