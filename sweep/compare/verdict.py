"""The verdict on a comparison: its rows, what is told apart, in words, and what to run next. Pure: it reads no file.

Everything that shows a comparison (the terminal, files, a dashboard, a page) shows a Verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from sweep.compare.contrasts import CONTROL, Findings, check_control, find
from sweep.compare.next_runs import Suggestion, suggestions
from sweep.compare.pool import Row, axes_of, pool
from sweep.compare.results import Comparison
from sweep.compare.sentences import sentences
from sweep.compare.statistics import binomial_bound
from sweep.compare.warnings import warnings
from sweep.errors import UserError

FAMILY = ("model",)


@dataclass(frozen=True)
class Question:
    """What is asked of a comparison.

    control: the choices that make a control; typed: whether a person named them, so that they must be there.
    by: the axes whose values make a family, of which each gets a sentence.
    where: patterns (* and ? as in a shell) by axis; only cells that match them all take part.
    """

    control: Mapping[str, str] = field(default_factory=lambda: dict(CONTROL))
    typed: bool = False
    by: Sequence[str] = FAMILY
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """The answer; `comparison` holds the cells that took part. `bound`: how far the sampling of one evaluation may move
    a value at most, None where that is not known; `answers`: the graded answers behind that."""

    comparison: Comparison
    question: Question
    rows: list[Row]
    findings: Findings
    sentences: list[str]
    suggestions: list[Suggestion]
    warnings: list[str]
    answers: int | None
    bound: float | None


def judge(comparison: Comparison, question: Question | None = None) -> Verdict:
    """Answer the question, which by default is whether rewards beat random ones, family by family.

    Raises:
        UserError: the question names an axis or a value that is not there.
    """
    question = question or Question()
    comparison = _narrowed(comparison, question.where)
    rows, metric = pool(comparison.cells), comparison.metric
    if unknown := set(question.by) - set(axes_of(rows)):
        raise UserError(f"--by {', '.join(sorted(unknown))}: no axis here; there are {', '.join(axes_of(rows))}")
    if parting := set(question.by) & set(question.control):
        raise UserError(
            f"--by {', '.join(sorted(parting))}: a family holds rows and their controls, which differ in it"
        )
    if question.typed:
        check_control(question.control, rows)
    findings = find(rows, question.control, question.by, metric.shares_of_answers)
    known = [row.answers for row in rows if row.answers]
    answers = min(known) if known and metric.shares_of_answers else None
    return Verdict(
        comparison,
        question,
        rows,
        findings,
        sentences(rows, findings, question.by, metric),
        suggestions(comparison, rows, findings, {} if _hides_controls(question) else question.control),
        warnings(comparison, rows, findings),
        answers,
        binomial_bound(answers) if answers else None,
    )


def _hides_controls(question: Question) -> bool:
    """Whether the controls were left out by the patterns, so that nothing is lacking where there is none."""
    patterns = [(question.control[axis], p) for axis, p in question.where.items() if axis in question.control]
    return any(not fnmatchcase(value, pattern) for value, pattern in patterns)


def _narrowed(comparison: Comparison, where: Mapping[str, str]) -> Comparison:
    """The comparison of the cells that match every pattern.

    Raises:
        UserError: no cell does, or there is no such axis.
    """
    axes = {axis for cell in comparison.cells for axis in cell.axes}
    if unknown := where.keys() - axes:
        raise UserError(f"--where {', '.join(sorted(unknown))}: no axis here; there are {', '.join(sorted(axes))}")
    kept = [c for c in comparison.cells if all(fnmatchcase(c.axes.get(a, ""), p) for a, p in where.items())]
    if where and not kept:
        typed = ",".join(f"{axis}={pattern}" for axis, pattern in where.items())
        raise UserError(f"--where {typed}: no cell matches")
    return replace(comparison, cells=kept)
