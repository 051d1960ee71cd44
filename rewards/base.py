"""The base classes of reward signals: a schema for the options, and a pure function from responses to rewards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from rewards.vote import Judge, Vote


@dataclass(frozen=True)
class Response:
    """One sampled response, as a reward sees it.

    `answer` is the text that extraction found, and `correct` says that it equals the gold answer. `label` is the
    majority label of the problem, for rewards that need labels. `draw(purpose)` gives a uniform number in [0, 1) that
    depends only on the response's place in the run, so that logging, resuming or another process count never changes a
    random reward.
    """

    question: str
    text: str
    gold: str
    answer: str | None
    correct: bool
    truncated: bool
    draw: Callable[[str], float]
    label: str | None = None


class Signal(BaseModel, ABC):
    """Options of a reward; unknown options are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(description="which reward it is")

    @abstractmethod
    def score(self, groups: Sequence[Sequence[Response]], judge: Judge) -> list[list[float]]:
        """Return a reward for each response of each group, in the same nesting.

        `judge` says for many (answer, reference) pairs at once which are equal.
        """

    @property
    def title(self) -> str:
        """The name of the reward in tables and directory names. Rewards with different parts have different titles."""
        return self.name

    @property
    def parts(self) -> tuple[Signal, ...]:
        """The rewards that this reward is composed of."""
        return ()

    @property
    def is_binary(self) -> bool | None:
        """True if every reward is 0 or 1, False if some are not, None if only the computed rewards can tell."""
        of_parts = {part.is_binary for part in self.parts}
        return False if False in of_parts else None if None in of_parts else True

    @property
    def reads_grading(self) -> bool:
        """True if the reward depends on how answers are extracted and compared."""
        return any(part.reads_grading for part in self.parts)

    @property
    def needs_labels(self) -> bool:
        """True if the reward reads the majority labels that the `label` stage makes."""
        return any(part.needs_labels for part in self.parts)

    @property
    def votes(self) -> set[Vote]:
        """The kinds of vote that the labels it needs are made by."""
        return set().union(*(part.votes for part in self.parts))

    @property
    def wrong_labels_only(self) -> bool:
        """True if it trains only on problems whose label is wrong."""
        return any(part.wrong_labels_only for part in self.parts)


class OfResponse(Signal):
    """A reward that depends on the response alone, not on the others of its group."""

    @abstractmethod
    def value(self, response: Response) -> float:
        """Return the reward of one response."""

    def score(self, groups: Sequence[Sequence[Response]], judge: Judge) -> list[list[float]]:
        """Return `value` of each response of each group."""
        return [[self.value(response) for response in group] for group in groups]


def draws_of_part(draw: Callable[[str], float], place: int) -> Callable[[str], float]:
    """Return draws for the part at `place` of a composed reward. Two equal parts thus get independent draws."""
    return lambda purpose: draw(f"part {place} {purpose}")


def gap(parts: Sequence[Signal]) -> str:
    """Return the separator of words in a title: one underscore, and one more for each level of parts.

    The parts of `not (a and b)` are separated by fewer underscores than `not` is, so that titles can be read without
    brackets.
    """
    return "_" + max((gap(p.parts) for p in parts if p.parts), default="")
