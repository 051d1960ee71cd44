"""Find the final answer in each response, grade it against the gold answers of its problem, and count it as a vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rewards.extraction import Extracted
from rewards.grading import Grade, Grader, Outcome
from rewards.vote import first_equals
from sweep.data.golds import grade_any

_DO_NOT_VOTE = (Outcome.NONE, Outcome.UNPARSED, Outcome.TIMEOUT)


@dataclass(frozen=True)
class GradedAnswer:
    """The answer that a response gives, None if none was found in it, and its grade."""

    extracted: Extracted | None
    grade: Grade

    @property
    def text(self) -> str | None:
        """The text of the answer; None if none was found."""
        return None if self.extracted is None else self.extracted.text


def grade_texts(grader: Grader, texts: Sequence[str], golds: Sequence[Sequence[str]]) -> list[GradedAnswer]:
    """Return the graded answer of each response in `texts`; `golds` holds the gold answers of its problem."""
    found = [grader.extract(text) for text in texts]
    answers = [None if extracted is None else extracted.text for extracted in found]
    grades = grade_any(grader, list(zip(answers, golds, strict=True)))
    return [GradedAnswer(extracted, grade) for extracted, grade in zip(found, grades, strict=True)]


def votes(
    grader: Grader, groups: Sequence[Sequence[GradedAnswer]], earlier: Sequence[Sequence[str]]
) -> list[list[str | None]]:
    """Return what each answer votes for among the answers to its problem: the first that equals it.

    An answer that is unreadable, or was not found, does not vote: None.

    Args:
        groups: the answers to each problem, in the order of samples.
        earlier: the different answers that were given to each problem before, in order.
    """
    readable = [[None if one.grade.outcome in _DO_NOT_VOTE else one.text for one in group] for group in groups]
    return first_equals(readable, earlier, lambda pairs: [grade.correct for grade in grader.grade(pairs)])


class Verdict(NamedTuple):
    """What is said of one response: its final answer, whether it is right, how that was decided, and its vote."""

    answer: str | None
    correct: bool
    outcome: str
    strategy: str | None
    vote: str | None


class WithGolds(Protocol):
    """A question with the answers that count as correct."""

    @property
    def golds(self) -> tuple[str, ...]:
        """The gold answers."""


def verdicts(grader: Grader, asked: Sequence[tuple[WithGolds, Sequence[str]]]) -> list[list[Verdict]]:
    """Return the verdicts of all responses to each question, which are given in the order of samples."""
    golds = [question.golds for question, texts in asked for _ in texts]
    found = iter(grade_texts(grader, [text for _, texts in asked for text in texts], golds))
    groups = [[next(found) for _ in texts] for _, texts in asked]
    voted = votes(grader, groups, [[] for _ in groups])
    return [[_verdict(*pair) for pair in zip(*pairs, strict=True)] for pairs in zip(groups, voted, strict=True)]


def _verdict(graded: GradedAnswer, vote: str | None) -> Verdict:
    grade, strategy = graded.grade, graded.extracted and graded.extracted.strategy
    return Verdict(graded.text, grade.correct, grade.outcome.value, strategy, vote)
