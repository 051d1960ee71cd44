"""Grade answers. Cheap exact comparison runs here; what it cannot decide goes to guarded worker processes.

Every pair of answer and gold answer is computed once and remembered.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from rewards.equality import Comparison, answers_equal
from rewards.exact import MOST_DIGITS, read_number
from rewards.extraction import Extracted, Strategy, extract_answer
from rewards.guard import Guard
from rewards.latex import canonical
from rewards.nodes import Words
from rewards.structure import read
from rewards.values import Values
from rewards.worker import EXCEEDED, RIGHT, UNPARSED, WRONG

# An answer that is not a whole number and is longer than this, and than twice its gold answer, is not parsed.
MOST_CHARACTERS = 1000
_WHOLE_NUMBER = re.compile(rf"\s*[-+]?[0-9]{{1,{MOST_DIGITS}}}\s*")
_REMEMBERED = 100_000
_AT_ONCE = Values()  # decides the comparisons that need no worker


class Outcome(str, Enum):
    """The result of grading an answer. Only RIGHT is correct."""

    RIGHT = RIGHT
    WRONG = WRONG
    UNPARSED = UNPARSED  # no symbolic form, and not the gold answer's text
    TIMEOUT = EXCEEDED  # out of time or memory, or a number of too many digits
    NONE = "none"  # no answer in the response, or an empty one


class Grade(NamedTuple):
    """The result for one pair. `text_gold` says that the gold answer has no symbolic form and was compared as text."""

    outcome: Outcome
    text_gold: bool = False

    @property
    def correct(self) -> bool:
        """True if the answer is right."""
        return self.outcome is Outcome.RIGHT


class GradingConfig(BaseModel):
    """The options for extracting and comparing answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(json_schema_extra={"identity": False}, description="what tables call the grading")
    extraction: tuple[Strategy, ...] = Field(
        min_length=1, description="places where an answer is looked for, in this order; the first that has one counts"
    )
    deadline_s: float = Field(gt=0, description="seconds of processor time that comparing one answer may take")
    memory_gb: float = Field(gt=0.25, description="memory that one grading process may take, in GiB")
    workers: int | None = Field(
        None,
        ge=1,
        json_schema_extra={"identity": False},
        description="grading processes beside each training process; null: its share of the cores",
    )


class Grader:
    """Grades with the options of a configuration. Its workers start with the first pair that needs one."""

    def __init__(self, config: GradingConfig, workers: int) -> None:
        self.config = config
        self.guard = Guard(config.workers or workers, config.deadline_s, config.memory_gb)
        self._known: OrderedDict[bytes, Grade] = OrderedDict()

    def extract(self, response: str) -> Extracted | None:
        """Return the final answer of a response by the configured strategies, or None if there is none."""
        return extract_answer(response, self.config.extraction)

    def grade(self, pairs: Sequence[tuple[str | None, str]]) -> list[Grade]:
        """Return the grade of each (answer, gold) pair, in order. None and empty answers are graded too.

        Equal pairs are computed once. Time, memory and length of each answer are bounded.
        """
        keys = [_key(answer, gold) for answer, gold in pairs]
        grades: dict[bytes, Grade] = {}
        undecided: dict[bytes, tuple[str, str]] = {}
        for key, (answer, gold) in zip(keys, pairs, strict=True):
            if key in grades or key in undecided:
                continue
            grade = self._known.get(key) or grade_exactly(answer, gold)
            if grade is None:
                undecided[key] = (answer, gold)
            else:
                grades[key] = grade
        verdicts = self.guard.verdicts(list(undecided.values())) if undecided else []
        for key, (verdict, text_gold) in zip(undecided, verdicts, strict=True):
            grades[key] = Grade(Outcome(verdict), text_gold)
        self._remember(grades)
        return [grades[key] for key in keys]

    def _remember(self, grades: dict[bytes, Grade]) -> None:
        for key, grade in grades.items():
            self._known[key] = grade
            self._known.move_to_end(key)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def close(self) -> None:
        """Stop the worker processes."""
        self.guard.close()


def _key(answer: str | None, gold: str) -> bytes:
    text = f"{'' if answer is None else answer}\0{len(gold)}\0{gold}"
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def grade_exactly(answer: str | None, gold: str) -> Grade | None:
    """Return the grade if text and a little exact arithmetic decide it, or None if only a worker can decide."""
    if answer is None or not answer.strip():
        return Grade(Outcome.NONE)
    if len(answer) > max(MOST_CHARACTERS, 2 * len(gold)):
        if answer.strip() == gold.strip():
            return Grade(Outcome.RIGHT)
        # Reading very many digits takes long, and only a worker has a deadline.
        return None if _WHOLE_NUMBER.fullmatch(answer) else Grade(Outcome.UNPARSED)
    comparison = Comparison(_AT_ONCE)
    try:
        equal = comparison.answers(answer, gold)
    except Exception:  # a defect that one answer triggers must not end a run: a worker meets it again and reports it
        return None
    if equal is None:
        return None
    text_gold = _is_text(gold) or "gold" in comparison.unparsed
    if equal:
        return Grade(Outcome.RIGHT, text_gold)
    return Grade(Outcome.UNPARSED if "answer" in comparison.unparsed else Outcome.WRONG, text_gold)


def _is_text(gold: str) -> bool:
    text = canonical(gold)
    return read_number(text) is None and isinstance(read(text), Words)


def bad_gold(gold: str) -> bool:
    """Return True if no answer can equal `gold`, because it is empty or does not equal itself."""
    return answers_equal(gold, gold, _AT_ONCE) is not True
