"""Rewards that are made of other rewards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from rewards.base import Response, Signal, draws_of_part, gap
from rewards.vote import Judge

if TYPE_CHECKING:  # RewardConfig is the union of all rewards, these included: `rewards.signals` fills it in
    from rewards.signals import RewardConfig


class _Composed(Signal):
    """Several rewards, combined response by response. Each part has its own random draws."""

    rewards: tuple[RewardConfig, ...] = Field(
        min_length=1, description="the parts: names, or mappings with options; parts may have parts"
    )

    @abstractmethod
    def combine(self, values: Sequence[float]) -> float:
        """Return one reward from the rewards that the parts gave to one response."""

    def score(self, groups: Sequence[Sequence[Response]], judge: Judge) -> list[list[float]]:
        """Score every part with draws of its own and combine the rewards of each response."""
        scored = []
        for place, part in enumerate(self.rewards):
            own = [[replace(r, draw=draws_of_part(r.draw, place)) for r in group] for group in groups]
            scored.append(part.score(own, judge))
        return [[self.combine(values) for values in zip(*group, strict=True)] for group in zip(*scored, strict=True)]

    @property
    def parts(self) -> tuple[Signal, ...]:
        """The rewards that are combined."""
        return self.rewards


class AllOf(_Composed):
    """The smallest of its rewards: 1 if all are 1."""

    name: Literal["all_of"] = Field(description="all_of: the least of the parts")

    def combine(self, values: Sequence[float]) -> float:
        """Return the smallest of the rewards."""
        return min(values)

    @property
    def title(self) -> str:
        """The titles of the parts, joined by "and"."""
        return _joined("and", self.rewards)


class AnyOf(_Composed):
    """The largest of its rewards: 1 if any is 1."""

    name: Literal["any_of"] = Field(description="any_of: the greatest of the parts")

    def combine(self, values: Sequence[float]) -> float:
        """Return the largest of the rewards."""
        return max(values)

    @property
    def title(self) -> str:
        """The titles of the parts, joined by "or"."""
        return _joined("or", self.rewards)


class Not(Signal):
    """1 minus a reward."""

    name: Literal["not"] = Field(description="not: 1 minus the part")
    reward: RewardConfig = Field(description="the part: a name, or a mapping with options")

    def score(self, groups: Sequence[Sequence[Response]], judge: Judge) -> list[list[float]]:
        """Return 1 minus each reward of the part."""
        return [[1.0 - value for value in group] for group in self.reward.score(groups, judge)]

    @property
    def parts(self) -> tuple[Signal, ...]:
        """The reward that is subtracted from 1."""
        return (self.reward,)

    @property
    def title(self) -> str:
        """The title of the part, after "not"."""
        return f"not{gap(self.parts)}{self.reward.title}"


class Weighted(_Composed):
    """The weighted sum of its rewards."""

    name: Literal["weighted"] = Field(description="weighted: the weighted sum of the parts")
    weights: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = Field(description="a factor for each part")

    @model_validator(mode="after")
    def _one_weight_each(self) -> Weighted:
        if len(self.weights) != len(self.rewards):
            raise ValueError(f"{len(self.weights)} weights for {len(self.rewards)} rewards; give one for each")
        return self

    def combine(self, values: Sequence[float]) -> float:
        """Return the sum of weight × reward."""
        return sum(w * v for w, v in zip(self.weights, values, strict=True))

    @property
    def is_binary(self) -> bool:
        """Always False: a weighted sum may take any value."""
        return False

    @property
    def title(self) -> str:
        """The terms, each as weight and title, joined by "plus"."""
        between = gap(self.rewards)
        return f"{between}plus{between}".join(
            f"{w:g}{between}{r.title}" for w, r in zip(self.weights, self.rewards, strict=True)
        )


def _joined(word: str, rewards: Sequence[Signal]) -> str:
    between = gap(rewards)
    return f"{between}{word}{between}".join(r.title for r in rewards)
