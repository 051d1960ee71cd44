"""Read the kept answers behind a verdict, and compare base and final problem by problem.

Answers take far longer to read than results. They are read where they are asked for, and without being asked for the
rows with one seed of a comparison of fewer than FEW_CELLS cells, because nothing else is known of how sure those are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sweep.compare.kept import KeptAnswers, Targets
from sweep.compare.metrics import ACCURACY
from sweep.compare.pool import Row
from sweep.compare.results import CellResult, Comparison, OverProblems
from sweep.compare.verdict import Verdict, judge
from sweep.errors import UserError
from sweep.run.answer_places import KeptEvaluation
from sweep.run.answer_reading import made_between
from sweep.run.identity import answers_identity, signature
from sweep.score.curves import pass_curve
from sweep.score.paired import compare_problems

FEW_CELLS = 100
NONE_KEPT = "no answers of both its base and its final model are kept"


def with_problems(verdict: Verdict, every_row: bool = False) -> Verdict:
    """Return the verdict with what the answers show problem by problem, and how they were made differently.

    Args:
        every_row: read the answers of all rows; otherwise those of rows with one seed, where cells are few.
    """
    comparison, rows = verdict.comparison, verdict.rows
    if comparison.metric.name != ACCURACY or not (every_row or len(comparison.cells) < FEW_CELLS):
        return verdict
    kept = KeptAnswers(comparison.root)
    problems: list[OverProblems] = []
    made: list[str] = []
    for row in rows:
        cells = [cell for cell in row.by_seed.values() if cell.difference is not None and cell.entry.stages]
        pairs = []
        for cell in cells:
            try:
                pair = _pair(cell, comparison, kept)
            except UserError as error:  # a manifest is damaged, and the results stand without it
                made.append(f"{cell.entry.label}: {error}")
                continue
            if pair is not None:
                pairs.append(pair)
                made += [f"{cell.entry.label}: {said}" for said in made_between(*(one.manifest for one in pair))]
        if every_row or (len(row.final) == 1 and pairs):
            problems.append(_of_row(row, cells, pairs, kept))
    found = replace(comparison, problems=problems, made=list(dict.fromkeys([*comparison.made, *made])))
    return judge(found, verdict.question)


def _pair(cell: CellResult, comparison: Comparison, kept: KeptAnswers) -> tuple[KeptEvaluation, KeptEvaluation] | None:
    """Return the kept evaluations that a cell's base and final value come from; None unless both are there."""
    identity = comparison.evaluations.get(cell.evaluation or "", {})
    if "evaluation" not in identity or cell.counted is None:
        return None
    first, last = kept.pair(cell.entry, signature(answers_identity(identity)), comparison.metric.step)
    if first is None or last is None:
        return None
    counted = Targets(*cell.counted)
    return (first, last) if all(kept.has(one, counted) for one in (first, last)) else None


def _of_row(
    row: Row, cells: Sequence[CellResult], pairs: Sequence[tuple[KeptEvaluation, KeptEvaluation]], kept: KeptAnswers
) -> OverProblems:
    found = OverProblems(tuple(cell.signature for cell in row.by_seed.values()), None)
    if not pairs or len(pairs) < len(cells) or cells[0].counted is None:
        return replace(found, why_not=NONE_KEPT)
    targets = Targets(*cells[0].counted)  # cells of a row have one evaluation
    try:
        firsts = {first.directory: first for first, _ in pairs}  # seeds that share a baseline have it once
        base = [kept.answers(first, targets) for first in firsts.values()]
        final = [kept.answers(last, targets) for _, last in pairs]
        if targets.samples > 1:
            found = replace(found, base=pass_curve(*base), final=pass_curve(*final))
        return replace(found, found=compare_problems(base, final))
    except UserError as error:  # files are damaged, or problems are too few: the comparison of seeds stands without it
        return replace(found, why_not=str(error))
