"""Deal with a step that was given up because a number was not finite. Every process calls these functions."""

from __future__ import annotations

import logging

import torch.distributed as dist

from sweep.config.cell import CellConfig
from sweep.grpo.checkpoint import go_back
from sweep.job.processes import any_rank, gather
from sweep.run.directory import RunDirectory
from sweep.run.not_finite import NotFinite, explained, write_batch
from sweep.stages.at_hand import StepAtHand
from sweep.stages.resuming import Checkpoints
from sweep.stages.samples import whole_rows

log = logging.getLogger("sweep")


def reported(fault: NotFinite, run: RunDirectory, config: CellConfig, at_hand: StepAtHand) -> NotFinite:
    """Write the step's rollout to disk, and return the fault with a message that names the step and that file."""
    step = at_hand.step
    file = run.not_finite(step)
    ranks = gather([] if fault.evidence is None else [{"rank": dist.get_rank(), **fault.evidence}])
    if dist.get_rank() == 0:
        write_batch(file, step, fault, ranks, whole_rows(config, at_hand))
    return explained(fault, step, config, file, run.read_state().rolled_back_from)


def goes_back(run: RunDirectory, checkpoints: Checkpoints, step: int) -> bool:
    """Set the attempt's checkpoint aside if it may be to blame; returns whether training starts again from an older.

    It may be to blame if the first step after a resume failed: the checkpoint, or the memory it was read into, may be
    damaged. A run goes back like this only once.

    Args:
        checkpoints: those of the attempt.
        step: the step that was given up.
    """
    resumed_from, first = checkpoints.resumed_from, checkpoints.first_step
    if resumed_from is None or step > first + 1 or any_rank(run.read_state().rolled_back_from is not None):
        return False
    if not go_back(run.checkpoints, resumed_from):
        log.warning("there is no older whole checkpoint to go back to; remove %s to start again", run.checkpoints)
        return False
    log.warning("goes back: the first step after step %d is not finite", first)
    if dist.get_rank() == 0:
        note = f"went back from the checkpoint of step {first}, after which a number was not finite"
        run.write_state(rolled_back_from=first, note=note)
    return True
