"""Rewards that are made of other rewards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from rewards.base import Group, Signal, draws_of_part, gap
from rewards.vote import Judge

if TYPE_CHECKING:  # it is the union of all rewards, these included; `rewards.signals` completes the schemas with it
    from rewards.signals import RewardConfig


class _Composed(Signal):
    """Several rewards, made one response by response; each has draws of its own."""

    rewards: tuple[RewardConfig, ...] = Field(min_length=1)

    @abstractmethod
    def combine(self, values: Sequence[float]) -> float:
        """One reward from those of the parts."""

    def score(self, groups: Sequence[Group], judge: Judge) -> list[list[float]]:
        scored = []
        for place, part in enumerate(self.rewards):
            own = [[replace(r, draw=draws_of_part(r.draw, place)) for r in group] for group in groups]
            scored.append(part.score(own, judge))
        return [[self.combine(values) for values in zip(*group, strict=True)] for group in zip(*scored, strict=True)]

    @property
    def parts(self) -> tuple[Signal, ...]:
        return self.rewards


class AllOf(_Composed):
    """The least of its rewards: 1 where all are 1."""

    name: Literal["all_of"]

    def combine(self, values: Sequence[float]) -> float:
        return min(values)

    @property
    def title(self) -> str:
        return _joined("and", self.rewards)


class AnyOf(_Composed):
    """The greatest of its rewards: 1 where any is 1."""

    name: Literal["any_of"]

    def combine(self, values: Sequence[float]) -> float:
        return max(values)

    @property
    def title(self) -> str:
        return _joined("or", self.rewards)


class Not(Signal):
    """1 minus a reward."""

    name: Literal["not"]
    reward: RewardConfig

    def score(self, groups: Sequence[Group], judge: Judge) -> list[list[float]]:
        return [[1.0 - value for value in group] for group in self.reward.score(groups, judge)]

    @property
    def parts(self) -> tuple[Signal, ...]:
        return (self.reward,)

    @property
    def title(self) -> str:
        return f"not{gap(self.parts)}{self.reward.title}"


class Weighted(_Composed):
    """The weighted sum of its rewards."""

    name: Literal["weighted"]
    weights: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = Field(description="one for each reward")

    @model_validator(mode="after")
    def _one_weight_each(self) -> Weighted:
        if len(self.weights) != len(self.rewards):
            raise ValueError(f"{len(self.weights)} weights for {len(self.rewards)} rewards; give one for each")
        return self

    def combine(self, values: Sequence[float]) -> float:
        return sum(w * v for w, v in zip(self.weights, values, strict=True))

    @property
    def is_binary(self) -> bool:
        return False

    @property
    def title(self) -> str:
        between = gap(self.rewards)
        return f"{between}plus{between}".join(
            f"{w:g}{between}{r.title}" for w, r in zip(self.weights, self.rewards, strict=True)
        )


def _joined(word: str, rewards: Sequence[Signal]) -> str:
    between = gap(rewards)
    return f"{between}{word}{between}".join(r.title for r in rewards)
