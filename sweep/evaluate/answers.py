"""Find the final answer in each response and grade it against the gold answers of its problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rewards.extraction import Extracted
from rewards.grading import Grade, Grader
from sweep.data.golds import grade_any


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
