"""Grade answers: exact comparison at once, guarded numerical comparison where that cannot tell, each pair once."""

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

MOST_CHARACTERS = 1000  # of an answer that is no whole number, or twice its gold answer's; a longer one is not read
_WHOLE_NUMBER = re.compile(rf"\s*[-+]?[0-9]{{1,{MOST_DIGITS}}}\s*")
_REMEMBERED = 100_000
_AT_ONCE = Values()  # what needs no worker


class Outcome(str, Enum):
    """What came of grading an answer; only RIGHT is correct."""

    RIGHT = RIGHT
    WRONG = WRONG
    UNPARSED = UNPARSED  # no symbolic form, and not the gold answer's text
    TIMEOUT = EXCEEDED  # out of time or memory, or a number of too many digits
    NONE = "none"  # no answer in the response, or an empty one


class Grade(NamedTuple):
    """`text_gold`: the gold answer has no symbolic form and was compared as text."""

    outcome: Outcome
    text_gold: bool = False

    @property
    def correct(self) -> bool:
        return self.outcome is Outcome.RIGHT


class GradingConfig(BaseModel):
    """How answers are found and compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(json_schema_extra={"identity": False})
    extraction: tuple[Strategy, ...] = Field(min_length=1, description="tried in this order; the first that finds")
    deadline_s: float = Field(gt=0, description="seconds of processor time that one answer may take")
    memory_gb: float = Field(gt=0.25, description="of one grading process")
    workers: int | None = Field(
        None,
        ge=1,
        json_schema_extra={"identity": False},
        description="processes on each rank; null: its share of cores",
    )


class Grader:
    """Grades with the options of a configuration. Its workers start with the first pair that needs one."""

    def __init__(self, config: GradingConfig, workers: int) -> None:
        self.config = config
        self.guard = Guard(config.workers or workers, config.deadline_s, config.memory_gb)
        self._known: OrderedDict[bytes, Grade] = OrderedDict()

    def extract(self, response: str) -> Extracted | None:
        return extract_answer(response, self.config.extraction)

    def grade(self, pairs: Sequence[tuple[str | None, str]]) -> list[Grade]:
        """The grade of each (answer, gold), None and empty answers included.

        A pair is computed once, however often it comes; the answer is bounded in time, memory and length.
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
        """End the workers."""
        self.guard.close()


def _key(answer: str | None, gold: str) -> bytes:
    text = f"{'' if answer is None else answer}\0{len(gold)}\0{gold}"
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def grade_exactly(answer: str | None, gold: str) -> Grade | None:
    """The grade where text and little exact arithmetic decide it; None where only a worker can."""
    if answer is None or not answer.strip():
        return Grade(Outcome.NONE)
    if len(answer) > max(MOST_CHARACTERS, 2 * len(gold)):
        if answer.strip() == gold.strip():
            return Grade(Outcome.RIGHT)
        # Reading very many digits takes its time, which a worker has.
        return None if _WHOLE_NUMBER.fullmatch(answer) else Grade(Outcome.UNPARSED)
    comparison = Comparison(_AT_ONCE)
    try:
        equal = comparison.answers(answer, gold)
    except Exception:  # a defect that one answer finds must not end a run: a worker meets it too, and counts it
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
    """Whether no answer could ever equal `gold`: it is empty, or not equal to itself."""
    return answers_equal(gold, gold, _AT_ONCE) is not True
