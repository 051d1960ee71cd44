"""Rewards that are controls: they tell less of the truth than the reward that they stand beside, or nothing at all.

docs/rewards.md says which control answers which question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from rewards.base import Group, OfResponse, Response, Signal, draws_of_part, gap
from rewards.selector import Selector
from rewards.simple import GroundTruth
from rewards.vote import Judge

if TYPE_CHECKING:  # it is the union of all rewards, these included; `rewards.signals` completes the schemas with it
    from rewards.signals import RewardConfig

COIN = "random reward"  # the purpose of the draws of `random`, which `noisy` takes too


class Constant(OfResponse):
    """The same for every response: under a group baseline every advantage is 0."""

    name: Literal["constant"]
    reward: float = Field(1.0, allow_inf_nan=False)

    def value(self, response: Response) -> float:
        return self.reward

    @property
    def is_binary(self) -> bool:
        return self.reward in (0.0, 1.0)


class Random(OfResponse):
    """1 with the given probability, whatever the response says."""

    name: Literal["random"]
    probability: float = Field(0.5, ge=0.0, le=1.0)

    def value(self, response: Response) -> float:
        return float(response.draw(COIN) < self.probability)


class Shuffled(Signal):
    """The true rewards of a group, dealt out again among its responses by chance.

    A group keeps its number of ones, and with it the mean and the variance of its rewards; which responses have them
    says nothing.
    """

    name: Literal["shuffled"]

    def score(self, groups: Sequence[Group], judge: Judge) -> list[list[float]]:
        return [self._dealt(group) for group in groups]

    def _dealt(self, group: Group) -> list[float]:
        drawn = [response.draw("shuffled reward") for response in group]
        order = sorted(range(len(group)), key=drawn.__getitem__)  # of independent draws: each order is as likely
        return [float(group[place].correct) for place in order]

    @property
    def reads_grading(self) -> bool:
        return True


class Noisy(Signal):
    """Another reward whose ones stay with one probability, and whose zeros become ones with another.

    Chance comes from the draws of `random`, so that at equal rates this is that reward, draw for draw. Where both rates
    are 0 or 1 there is no chance, and the base draws as it would by itself; otherwise it has draws of its own, since
    noise that knew how a random base came out would not have the rates that it was given.
    """

    name: Literal["noisy"]
    reward: RewardConfig = Field(GroundTruth(name="ground_truth"), description="the base: its rewards are 0 or 1")
    true_positive_rate: float = Field(0.9, ge=0.0, le=1.0, description="share of the base's ones that stay 1")
    false_positive_rate: float = Field(0.1, ge=0.0, le=1.0, description="share of the base's zeros that become 1")
    when: Selector | None = Field(None, description="the responses that are noisy; null: all of them")

    @model_validator(mode="after")
    def _base_is_binary(self) -> Noisy:
        if self.reward.is_binary is False:
            raise ValueError(f"reward={self.reward.title}: {_NOT_BINARY}")
        return self

    def score(self, groups: Sequence[Group], judge: Judge) -> list[list[float]]:
        """As every signal does.

        Raises:
            ValueError: the base gave a response another reward than 0 or 1.
        """
        own = groups
        if not {self.true_positive_rate, self.false_positive_rate} <= {0.0, 1.0}:
            own = [[replace(r, draw=draws_of_part(r.draw, 0)) for r in group] for group in groups]
        base = self.reward.score(own, judge)
        if fault := not_binary(self.reward.title, (value for values in base for value in values)):
            raise ValueError(f"reward=noisy: {fault}")
        return [
            [self._noisy(response, value) for response, value in zip(group, values, strict=True)]
            for group, values in zip(groups, base, strict=True)
        ]

    def _noisy(self, response: Response, value: float) -> float:
        if self.when is not None and not self.when.selects(response.text):
            return value
        rate = self.true_positive_rate if value else self.false_positive_rate
        return float(response.draw(COIN) < rate)

    @property
    def parts(self) -> tuple[Signal, ...]:
        return (self.reward,)

    @property
    def title(self) -> str:
        between = gap(self.parts)
        selected = "" if self.when is None else f"{between}when{between}{self.when.title}"
        return f"noisy{between}{self.reward.title}{selected}"

    @property
    def unread(self) -> tuple[str, ...]:
        """The options that do not count: no selector is as if there were no such option."""
        return ("when",) if self.when is None else ()


def not_binary(base: str, rewards: Iterable[float]) -> str:
    """What is wrong with the rewards that a base of `noisy` gave, where any is neither 0 nor 1; else ""."""
    wrong = next((value for value in rewards if value not in (0.0, 1.0)), None)
    return "" if wrong is None else f"the base {base} gave {wrong:g}; {_NOT_BINARY}"


_NOT_BINARY = (
    "noisy turns ones and zeros into each other, so that it needs a base whose rewards are all 0 or 1, such as "
    "ground_truth, format or an all_of of these"
)
