"""Everything that the page shows of a comparison, as plain values. The browser draws it and computes nothing of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sweep.compare.curves import NO_CURVES
from sweep.compare.metrics import ACCURACY
from sweep.compare.more_tables import cost_lines
from sweep.compare.page.answers import chosen_answers
from sweep.compare.page.configured import cells_json, environments_json, settings_json
from sweep.compare.page.evaluated import passes_json, transitions_json
from sweep.compare.page.judged import every_metric, metric_json, rows_json
from sweep.compare.page.packing import packed_series
from sweep.compare.page.readings import read_cells
from sweep.compare.page.steps import steps_of_cells
from sweep.compare.results import CellResult
from sweep.compare.table import CAVEAT
from sweep.compare.verdict import Verdict


@dataclass(frozen=True)
class PageFacts:
    """The three parts of a page's data. The browser reads `answers` only when somebody looks at answers.

    facts, answers: values for JSON. series: see `packing.packed_series`, whose index is in `facts`.
    """

    title: str
    sentences: list[str]
    facts: dict[str, Any]
    series: bytes
    answers: dict[str, Any]


def page_facts(verdicts: Sequence[Verdict], all_metrics: bool = False) -> PageFacts:
    """Return the data of the page.

    Args:
        verdicts: one for each benchmark that was named; the page is of the first, and has the numbers of the others.
        all_metrics: also show times, speeds and memory.
    Raises:
        UserError: a file of answers is missing or damaged.
    """
    verdict = verdicts[0]
    comparison = verdict.comparison
    readings = read_cells(comparison.cells, comparison.root, all_metrics)
    index, series = packed_series(steps_of_cells(comparison, readings))
    judged = list(every_metric(verdicts, readings))
    accuracies = [(shown, by) for shown, by in judged if by.comparison.metric.name == ACCURACY]
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
        "code": _code_shares(comparison.cells),
        "passes": [found for shown, by in accuracies if (found := passes_json(shown, by))],
        "transitions": transitions_json(comparison),
    }
    answers = chosen_answers(comparison).json()
    return PageFacts(comparison.title, verdict.sentences, facts, series, answers)


def _code_shares(cells: Sequence[CellResult]) -> list[list[float] | None]:
    """Return [base code, base accuracy, final code, final accuracy] of each cell in per cent.

    None stands for a cell of which one of them is unknown, or whose sides must not be subtracted.
    """
    found = []
    for cell in cells:
        numbers = (cell.base_code, cell.base_accuracy, cell.final_code, cell.final_accuracy)
        known = [round(100 * number, 3) for number in numbers if number is not None]
        found.append(known if len(known) == len(numbers) and not cell.unlike else None)
    return found
