"""The verdict on a comparison: rows, tests, sentences, and what to run next. Pure: it reads no file.

The terminal, files and dashboards all show a Verdict.
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
    """The options of a comparison.

    control: the choices that make a control; typed: True if a person named them, so that they must exist.
    by: the axes whose values make a family; each family gets a sentence.
    where: patterns (* and ? as in a shell) by axis; only cells that match all of them take part.
    """

    control: Mapping[str, str] = field(default_factory=lambda: dict(CONTROL))
    typed: bool = False
    by: Sequence[str] = FAMILY
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """The answer to a question.

    `comparison` holds the cells that took part. `bound`: the most that sampling one evaluation again may move a value,
    None if unknown; `answers`: the number of graded answers behind it.
    """

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
    """Answer the question. By default it is whether rewards beat random ones, family by family.

    Raises:
        UserError: the question names an axis or a value that does not exist.
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
    """Return True if the patterns left out the controls, so that a missing control is intended."""
    patterns = [(question.control[axis], p) for axis, p in question.where.items() if axis in question.control]
    return any(not fnmatchcase(value, pattern) for value, pattern in patterns)


def _narrowed(comparison: Comparison, where: Mapping[str, str]) -> Comparison:
    """Return the comparison of the cells that match every pattern.

    Raises:
        UserError: no cell matches, or there is no such axis.
    """
    axes = {axis for cell in comparison.cells for axis in cell.axes}
    if unknown := where.keys() - axes:
        raise UserError(f"--where {', '.join(sorted(unknown))}: no axis here; there are {', '.join(sorted(axes))}")
    kept = [c for c in comparison.cells if all(fnmatchcase(c.axes.get(a, ""), p) for a, p in where.items())]
    if where and not kept:
        typed = ",".join(f"{axis}={pattern}" for axis, pattern in where.items())
        raise UserError(f"--where {typed}: no cell matches")
    return replace(comparison, cells=kept)
