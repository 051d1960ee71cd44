"""Groups of made-up responses, with draws as a training has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from rewards.base import Response, Signal
from rewards.grading import grade_exactly
from rewards.signals import RewardConfig
from sweep.keyed import generator


def made_up(slot: int, sample: int, text: str = "\\boxed{8}", correct: bool = False, label: str = "8") -> Response:
    """A response to `3+4`; its draws are those of its place."""

    def draw(purpose: str) -> float:
        return float(generator(purpose, 0, 1, slot, sample).random())

    return Response("3+4", text, "7", "7" if correct else "8", correct, False, draw, label)


def of_mixed_difficulty(groups: int, size: int = 16, seed: int = 0) -> list[list[Response]]:
    """Groups whose problems are answered rightly by 5, 20, 50, 80 and 95 % of the responses.

    A third of the responses has code and a box, whether it is right or not.
    """
    rng = np.random.default_rng(seed)
    rates = (0.05, 0.2, 0.5, 0.8, 0.95)

    def drawn(slot: int, sample: int) -> Response:
        text = "python \\boxed{8}" if rng.random() < 1 / 3 else "prose"
        return made_up(slot, sample, text, correct=rng.random() < rates[slot % 5])

    return [[drawn(slot, sample) for sample in range(size)] for slot in range(groups)]


def judge(pairs: Sequence[tuple[str | None, str]]) -> list[bool]:
    return [grade_exactly(answer, gold).correct for answer, gold in pairs]


def signal(reward: Any) -> Signal:
    """A reward by its name, or by its options."""
    return TypeAdapter(RewardConfig).validate_python(reward)


def rewards_of(reward: Any, groups: Sequence[Sequence[Response]]) -> list[list[float]]:
    return signal(reward).score(groups, judge)
