"""What every reward signal is: a schema for its options, and a pure function of groups of responses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from rewards.vote import Judge, Vote


@dataclass(frozen=True)
class Response:
    """One sampled response, as a reward sees it.

    `answer` is what extraction found, `correct` whether it equals the gold answer. `label` is the majority label of the
    problem, for rewards that need labels. `draw(purpose)` gives a uniform number in [0, 1) that depends only on the
    response's place in the run, so that logging, resuming or another process count never changes a random reward.
    """

    question: str
    text: str
    gold: str
    answer: str | None
    correct: bool
    truncated: bool
    draw: Callable[[str], float]
    label: str | None = None


Group = Sequence[Response]


class Signal(BaseModel, ABC):
    """Options of a reward; unknown options are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str

    @abstractmethod
    def score(self, groups: Sequence[Group], judge: Judge) -> list[list[float]]:
        """A reward for each response of each group; `judge` compares answers, many pairs at once."""

    @property
    def title(self) -> str:
        """What the reward is called in tables and directory names: distinct for rewards of different parts."""
        return self.name

    @property
    def parts(self) -> tuple[Signal, ...]:
        """The rewards it is composed of."""
        return ()

    @property
    def is_binary(self) -> bool | None:
        """Whether each of its rewards is 0 or 1; None where only its rewards themselves can tell."""
        of_parts = {part.is_binary for part in self.parts}
        return False if False in of_parts else None if None in of_parts else True

    @property
    def reads_grading(self) -> bool:
        """Whether it depends on how answers are found and compared."""
        return any(part.reads_grading for part in self.parts)

    @property
    def needs_labels(self) -> bool:
        return any(part.needs_labels for part in self.parts)

    @property
    def votes(self) -> set[Vote]:
        """How the labels it needs are voted."""
        return set().union(*(part.votes for part in self.parts))

    @property
    def wrong_labels_only(self) -> bool:
        """Whether it trains only on problems whose label is wrong."""
        return any(part.wrong_labels_only for part in self.parts)


class OfResponse(Signal):
    """A reward that depends on nothing but the response itself."""

    @abstractmethod
    def value(self, response: Response) -> float:
        """Its reward."""

    def score(self, groups: Sequence[Group], judge: Judge) -> list[list[float]]:
        return [[self.value(response) for response in group] for group in groups]


def draws_of_part(draw: Callable[[str], float], place: int) -> Callable[[str], float]:
    """The draws of the part of a reward at `place`, so that equal parts do not get equal chances."""
    return lambda purpose: draw(f"part {place} {purpose}")


def gap(parts: Sequence[Signal]) -> str:
    """Underscores between the words of a title, more of them the more levels the parts have."""
    return "_" + max((gap(p.parts) for p in parts if p.parts), default="")
