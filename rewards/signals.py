"""The reward signals: the sweep's second axis. Each is a schema for its options and a pure function of a group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rewards.answers import answers_equal, extract_answer


@dataclass(frozen=True)
class Response:
    """One sampled response, as a reward sees it.

    `draw(purpose)` gives a uniform number in [0, 1) that depends only on the response's place in the run,
    so that logging, resuming or another process count never changes a random reward.
    """

    text: str
    gold: str
    draw: Callable[[str], float]

    @cached_property
    def answer(self) -> str | None:
        return extract_answer(self.text)

    @cached_property
    def correct(self) -> bool:
        return answers_equal(self.answer, self.gold)


class Signal(BaseModel):
    """Options of a reward; unknown options are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GroundTruth(Signal):
    """1 where the final answer equals the gold answer."""

    name: Literal["ground_truth"]

    def score(self, group: Sequence[Response]) -> list[float]:
        return [float(r.correct) for r in group]


class Random(Signal):
    """1 with the given probability, whatever the response says."""

    name: Literal["random"]
    probability: float = Field(0.5, ge=0.0, le=1.0)

    def score(self, group: Sequence[Response]) -> list[float]:
        return [float(r.draw("random reward") < self.probability) for r in group]


class Format(Signal):
    """1 where the response has a non-empty `\\boxed{}`."""

    name: Literal["format"]

    def score(self, group: Sequence[Response]) -> list[float]:
        return [float(bool(r.answer)) for r in group]


RewardConfig = Annotated[GroundTruth | Random | Format, Field(discriminator="name")]
