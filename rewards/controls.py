"""Rewards that are controls: they tell less of the truth than the reward that they stand beside, or nothing at all.

docs/rewards.md says which control answers which question.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rewards.base import OfResponse, Response


class Random(OfResponse):
    """1 with the given probability, whatever the response says."""

    name: Literal["random"]
    probability: float = Field(0.5, ge=0.0, le=1.0)

    def value(self, response: Response) -> float:
        return float(response.draw("random reward") < self.probability)


class Constant(OfResponse):
    """The same for every response: under a group baseline every advantage is 0."""

    name: Literal["constant"]
    reward: float = Field(1.0, allow_inf_nan=False)

    def value(self, response: Response) -> float:
        return self.reward
