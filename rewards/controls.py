"""Control rewards: they carry less information about correctness than the reward they are compared with, or none.

docs/rewards.md says which control answers which question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from rewards.base import OfResponse, Response, Signal, draws_of_part, gap
from rewards.selector import Selector
from rewards.simple import GroundTruth
from rewards.vote import Judge

if TYPE_CHECKING:  # RewardConfig is the union of all rewards, these included: `rewards.signals` fills it in
    from rewards.signals import RewardConfig

COIN = "random reward"  # the purpose of the draws of `random`; `noisy` uses the same draws


class Constant(OfResponse):
    """The same for every response: under a group baseline every advantage is 0."""

    name: Literal["constant"] = Field(description="constant: the same for every response")
    reward: float = Field(1.0, allow_inf_nan=False, description="what every response is given")

    def value(self, response: Response) -> float:
        """Return the constant."""
        return self.reward

    @property
    def is_binary(self) -> bool:
        """True if the constant is 0 or 1."""
        return self.reward in (0.0, 1.0)


class Random(OfResponse):
    """1 with the given probability, whatever the response says."""

    name: Literal["random"] = Field(description="random: 1 by chance, whatever the response says")
    probability: float = Field(0.5, ge=0.0, le=1.0, description="chance of a 1")

    def value(self, response: Response) -> float:
        """Return 1.0 with the configured probability, else 0.0."""
        return float(response.draw(COIN) < self.probability)


class Shuffled(Signal):
    """The true rewards of a group, dealt out again among its responses at random.

    A group keeps its number of ones, and with it the mean and the variance of its rewards. Which responses get them
    carries no information.
    """

    name: Literal["shuffled"] = Field(description="shuffled: the true rewards of a group, dealt out again by chance")

    def score(self, groups: Sequence[Sequence[Response]], judge: Judge) -> list[list[float]]:
        """Return, for each group, its true rewards in a random order."""
        return [self._dealt(group) for group in groups]

    def _dealt(self, group: Sequence[Response]) -> list[float]:
        drawn = [response.draw("shuffled reward") for response in group]
        order = sorted(range(len(group)), key=drawn.__getitem__)  # independent draws make every order equally likely
        return [float(group[place].correct) for place in order]

    @property
    def reads_grading(self) -> bool:
        """Always True: the rewards that are dealt out come from grading."""
        return True


class Noisy(Signal):
    """Another reward whose ones stay ones with one probability and whose zeros become ones with another.

    The chance comes from the same draws as the `random` reward, so that at equal rates the two rewards agree, draw for
    draw. If both rates are 0 or 1, nothing is random and the base keeps the draws it would have by itself. Otherwise
    the base gets draws of its own: if base and noise shared draws, the noise would depend on the base's outcome and its
    rates would not be the given ones.
    """

    name: Literal["noisy"] = Field(description="noisy: another reward with mistakes")
    reward: RewardConfig = Field(GroundTruth(name="ground_truth"), description="the base: its rewards are 0 or 1")
    true_positive_rate: float = Field(0.9, ge=0.0, le=1.0, description="share of the base's ones that stay 1")
    false_positive_rate: float = Field(0.1, ge=0.0, le=1.0, description="share of the base's zeros that become 1")
    when: Selector | None = Field(None, description="the responses that are noisy; null: all of them")

    @model_validator(mode="after")
    def _base_is_binary(self) -> Noisy:
        if self.reward.is_binary is False:
            raise ValueError(f"reward={self.reward.title}: {_NOT_BINARY}")
        return self

    def score(self, groups: Sequence[Sequence[Response]], judge: Judge) -> list[list[float]]:
        """Return the base's rewards with noise; see `Signal.score`.

        Raises:
            ValueError: the base gave a response a reward other than 0 or 1.
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
        """The base reward."""
        return (self.reward,)

    @property
    def title(self) -> str:
        """The title of the base and, if there is one, of the selector."""
        between = gap(self.parts)
        selected = "" if self.when is None else f"{between}when{between}{self.when.title}"
        return f"noisy{between}{self.reward.title}{selected}"

    @property
    def unread(self) -> tuple[str, ...]:
        """The options that have no effect: `when`, if it is null."""
        return ("when",) if self.when is None else ()


def not_binary(base: str, rewards: Iterable[float]) -> str:
    """Return a message about the first reward of `noisy`'s base that is neither 0 nor 1, or "" if there is none."""
    wrong = next((value for value in rewards if value not in (0.0, 1.0)), None)
    return "" if wrong is None else f"the base {base} gave {wrong:g}; {_NOT_BINARY}"


_NOT_BINARY = (
    "noisy turns ones and zeros into each other, so that it needs a base whose rewards are all 0 or 1, such as "
    "ground_truth, format or an all_of of these"
)
