"""The current training step: what it has made so far, to be written to disk if a number is not finite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sweep.grpo.deal import WithAdvantage
from sweep.stages.grading import Graded
from sweep.stages.groups import Group


@dataclass(frozen=True)
class StepAtHand:
    """A step with its rollout, and with the same responses once they have advantages; empty before."""

    step: int
    groups: Sequence[Group[Graded]] = ()
    with_advantages: Sequence[Sequence[WithAdvantage]] = ()
