"""Means over answers: how many are right, have code, were cut off, could not be read; and the mean over problems."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sweep.run.answers import Answer
from sweep.score.grouped import Grouped, counts

CODE = "code"  # the detector of code among `Answer.behaviours`
CUT_OFF = "length"  # the end reason of an answer that did not end by itself
UNPARSED, TIMEOUT = "unparsed", "exceeded"  # outcomes, as `rewards.grading.Outcome` writes them


@dataclass(frozen=True)
class Means:
    """Means over all answers to all problems: each answer counts once.

    answers: their number. accuracy: the share that is right. code: the share with code. code_accuracy, prose_accuracy:
    the share of right answers among those with code, and among those without. truncated: the share that was cut off at
    the limit of tokens. ended_accuracy: the share of right answers among those that ended by themselves. tokens: the
    mean length. extracted: the share in which a final answer was found. unparsed, timeouts: the shares whose final
    answer no parser could read, and could not read in time. finish: the share of each end reason that occurs.
    A mean over no answers is None.
    """

    answers: int
    accuracy: float | None
    code: float | None
    code_accuracy: float | None
    prose_accuracy: float | None
    truncated: float | None
    ended_accuracy: float | None
    tokens: float | None
    extracted: float | None
    unparsed: float | None
    timeouts: float | None
    finish: dict[str, float]


def means(answers: Iterable[Answer]) -> Means:
    """Return the means over `answers`, whatever their order and problems."""
    rows = list(answers)
    coded = [CODE in row.behaviours for row in rows]
    correct = [row.correct for row in rows]
    reasons = sorted({row.finish for row in rows})
    return Means(
        answers=len(rows),
        accuracy=mean(correct),
        code=mean(coded),
        code_accuracy=mean([right for right, code in zip(correct, coded, strict=True) if code]),
        prose_accuracy=mean([right for right, code in zip(correct, coded, strict=True) if not code]),
        truncated=mean([row.finish == CUT_OFF for row in rows]),
        ended_accuracy=mean([row.correct for row in rows if row.finish != CUT_OFF]),
        tokens=mean([row.tokens for row in rows]),
        extracted=mean([row.answer is not None for row in rows]),
        unparsed=mean([row.outcome == UNPARSED for row in rows]),
        timeouts=mean([row.outcome == TIMEOUT for row in rows]),
        finish={reason: sum(row.finish == reason for row in rows) / len(rows) for reason in reasons},
    )


def mean(values: Sequence[float]) -> float | None:
    """Return the mean of numbers or of truth values; None if there is none."""
    return sum(values) / len(values) if values else None


def accuracies(answers: Grouped) -> dict[str, float]:
    """Return the share of right answers to each problem.

    Raises:
        UserError: there is no problem, or one without an answer.
    """
    return {problem: right / n for problem, (right, n) in counts(answers).items()}


def average_at_k(answers: Grouped) -> float:
    """Return avg@k: the mean over problems of the share of right answers, k being the number of answers to a problem.

    Problems count equally, however many answers they have. If all have as many, it is the accuracy over all answers.

    Raises:
        UserError: there is no problem, or one without an answer.
    """
    shares = accuracies(answers)
    return math.fsum(shares.values()) / len(shares)


class Ended(Protocol):
    """What is needed of the means of an evaluation to tell a gain from fewer cut-offs; see `Means`."""

    @property
    def accuracy(self) -> float | None: ...

    @property
    def truncated(self) -> float | None: ...

    @property
    def ended_accuracy(self) -> float | None: ...


def only_fewer_cut_offs(before: Ended, after: Ended) -> str | None:
    """Say that a gain in accuracy is only fewer cut-offs; None if it is not, or if there is no gain.

    It is, if accuracy rose, fewer answers were cut off, and among the answers that ended by themselves the share of
    right ones did not rise. More answers then reach their end, and those that do are right no more often than before.
    These are comparisons of the means as they stand: it is no test, and the differences may be chance.
    """
    if after.accuracy is None or before.accuracy is None or after.truncated is None or before.truncated is None:
        return None
    if after.ended_accuracy is None or before.ended_accuracy is None:
        return None
    if not (after.accuracy > before.accuracy and after.truncated < before.truncated):
        return None
    if after.ended_accuracy > before.ended_accuracy:
        return None
    return (
        f"accuracy rose from {before.accuracy:.1%} to {after.accuracy:.1%} only because fewer answers were cut off"
        f" ({before.truncated:.1%} before, {after.truncated:.1%} after): of the answers that ended by themselves,"
        f" {before.ended_accuracy:.1%} were right before and {after.ended_accuracy:.1%} after"
    )
