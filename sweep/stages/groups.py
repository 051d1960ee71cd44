"""A group: all responses of a step to the problem in one slot of its rollout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sweep.data.problems import Problem

R = TypeVar("R")


@dataclass(frozen=True)
class Group(Generic[R]):
    """A problem with its responses: `Sampled` ones after sampling, `Graded` ones after grading.

    `slot` is the group's number in the rollout of its step. Slots below `prompts_per_step` are sampled first; the
    others belong to groups that resampling put in their place.
    """

    slot: int
    problem: Problem
    responses: Sequence[R]
