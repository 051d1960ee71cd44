"""Everything that the page shows of a comparison, as plain values. The browser draws it and computes nothing of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sweep.compare.curves import NO_CURVES
from sweep.compare.metrics import ACCURACY
from sweep.compare.more_tables import cost_lines
from sweep.compare.page.answers import chosen_answers
from sweep.compare.page.configured import cells_json, environments_json, settings_json
from sweep.compare.page.evaluated import passes_json
from sweep.compare.page.judged import every_metric, metric_json, rows_json
from sweep.compare.page.later import with_later
from sweep.compare.page.moved import page_transitions
from sweep.compare.page.packing import packed_series
from sweep.compare.page.plain import PlainTable, plain_tables
from sweep.compare.page.readings import read_cells
from sweep.compare.page.steps import steps_of_cells
from sweep.compare.results import CellResult
from sweep.compare.statistics import mean_estimate
from sweep.compare.table import CAVEAT
from sweep.compare.verdict import Verdict


@dataclass(frozen=True)
class PageFacts:
    """The parts of a page's data. The browser unpacks the first two when the page opens, and the others one by one.

    facts, answers: values for JSON. series: see `packing.packed_series`, whose index is in `facts`. texts: those of the
    answers, in blocks. plain: what a browser shows that runs no scripts. damaged: in words, what could not be read.
    """

    title: str
    sentences: list[str]
    plain: list[PlainTable]
    damaged: list[str]
    facts: dict[str, Any]
    series: bytes
    answers: dict[str, Any]
    texts: list[list[str]]


def page_facts(verdicts: Sequence[Verdict], all_metrics: bool = False) -> PageFacts:
    """Return the data of the page.

    Args:
        verdicts: one for each benchmark that was named; the page is of the first, and has the numbers of the others.
        all_metrics: also show times, speeds and memory.
    """
    damaged: list[str] = []
    typed = [one.comparison.metric.benchmark for one in verdicts]
    comparison = verdicts[0].comparison
    own = read_cells(comparison.cells, comparison.root, all_metrics, damaged)
    later = with_later(comparison, own, typed, damaged)
    known, readings = comparison.evaluations | later.evaluations, later.readings
    verdicts = [replace(verdicts[0], comparison=replace(comparison, evaluations=known)), *verdicts[1:]]
    verdict, comparison = verdicts[0], verdicts[0].comparison
    index, series = packed_series(steps_of_cells(comparison, readings))
    judged = list(every_metric(verdicts, readings))
    accuracies = [(shown, by) for shown, by in judged if by.comparison.metric.name == ACCURACY]
    moved = page_transitions(comparison, later.names, damaged)
    answers = chosen_answers(comparison, later.names, moved.texts)
    damaged = list(dict.fromkeys([*damaged, *answers.damaged]))
    facts = {
        "title": comparison.title,
        "metric": judged[0][0].name,
        "metrics": [metric_json(shown, by) for shown, by in judged],
        "rows": rows_json(verdict),
        "cells": cells_json(comparison),
        "series": index,
        "no_series": NO_CURVES,
        "asked": {
            "control": dict(verdict.question.control),
            "by": list(verdict.question.by),
            "where": dict(verdict.question.where),
        },
        "suggestions": [[one.why, one.command] for one in verdict.suggestions],
        "warnings": verdict.warnings,
        "costs": cost_lines(verdict),
        "caveat": CAVEAT if any(cell.model.endswith("_mini") for cell in comparison.cells) else "",
        "launches": [[launch.sweep, launch.overrides] for launch in comparison.launches],
        "settings": settings_json(comparison),
        "environments": environments_json(comparison, all_metrics),
        "code": _code_moves(verdict),
        "passes": [found for shown, by in accuracies if (found := passes_json(shown, by))],
        "transitions": moved.facts,
        "later": [name for name in later.names.values() if name not in typed],
        "damaged": damaged,
    }
    told, texts = answers.json()
    _say_which_have_texts(moved.facts, told)
    return PageFacts(comparison.title, verdict.sentences, plain_tables(verdict), damaged, facts, series, told, texts)


def _say_which_have_texts(transitions: dict[str, Any], answers: dict[str, Any]) -> None:
    """Add to each question of the transitions whether answers to it are shown: drawn, changed, or "" for none."""
    known = {(answers["benchmarks"][place], name): is_drawn for place, name, _, _, is_drawn in answers["problems"]}
    for row in transitions.get("rows", []):
        for place, *_ in (*row["fixed"]["lines"], *row["broken"]["lines"]):
            question = transitions["questions"][place]
            is_drawn = known.get((row["benchmark"], question[0]))
            question[3:] = ["" if is_drawn is None else "drawn" if is_drawn else "changed"]


def _code_moves(verdict: Verdict) -> list[dict[str, Any] | None]:
    """Return of each row in per cent where its seeds are, and means with intervals over them.

    Both have four numbers: code and accuracy of the untrained model, and of the trained one. None stands for a row of
    which no seed has all four, or whose sides must not be subtracted.
    """
    found = []
    for row in verdict.rows:
        cells = [of for cell in row.by_seed.values() if (of := _code_shares(cell))]
        means = [mean_estimate(values) for values in zip(*cells, strict=True)]
        told = [[_rounded(number) for number in (mean.value, mean.low, mean.high)] for mean in means]
        found.append(
            {"seeds": [list(map(_rounded, cell)) for cell in cells], "means": told, "n": len(cells)} if cells else None
        )
    return found


def _code_shares(cell: CellResult) -> list[float] | None:
    numbers = (cell.base_code, cell.base_accuracy, cell.final_code, cell.final_accuracy)
    known = [100 * number for number in numbers if number is not None]
    return known if len(known) == len(numbers) and not cell.unlike else None


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)
