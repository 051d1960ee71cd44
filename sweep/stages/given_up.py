"""What follows a step that was given up because a number was not finite. To be called on every process."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch.distributed as dist

from sweep.config.cell import CellConfig
from sweep.grpo.checkpoint import go_back
from sweep.grpo.deal import Scored
from sweep.job.processes import any_rank, gather
from sweep.run.directory import RunDirectory
from sweep.run.not_finite import NotFinite, explained, write_batch
from sweep.stages.grading import Graded
from sweep.stages.samples import whole_rows

log = logging.getLogger("sweep")


def reported(
    fault: NotFinite,
    run: RunDirectory,
    config: CellConfig,
    step: int,
    batch: Sequence[Graded],
    scored: Sequence[Scored],
) -> NotFinite:
    """The fault with all that is known of it, once the step's batch is on disk."""
    file = run.not_finite(step)
    ranks = gather([] if fault.evidence is None else [{"rank": dist.get_rank(), **fault.evidence}])
    if dist.get_rank() == 0:
        write_batch(file, step, fault, ranks, whole_rows(config, step, batch, scored))
    return explained(fault, step, config, file, run.read_state().rolled_back_from)


def goes_back(run: RunDirectory, resumed_from: Path | None, first: int, step: int) -> bool:
    """Whether training begins again one checkpoint earlier: once, where the first step after a resume failed.

    The checkpoint, or the machine's memory since it was written, may be to blame.

    Args:
        resumed_from: the checkpoint that the attempt began with, of step `first`; None where it began at 0.
        step: the one that was given up.
    """
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
