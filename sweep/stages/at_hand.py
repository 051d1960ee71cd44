"""What a training step has made so far: what is left on disk where a number of it is not finite."""

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
