"""Checkpoints that are whole or absent, and at most `keep` of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch.distributed as dist

from sweep.grpo.learner import Learner


def save_checkpoint(learner: Learner, home: Path, step: int, keep: int) -> None:
    """Write `home/step_N`: under another name first, renamed once every process has written its part."""
    target = home / f"step_{step:06d}"
    partial = home / f"partial_{step:06d}"
    if dist.get_rank() == 0:
        home.mkdir(exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
    dist.barrier()
    learner.save(partial, step)
    dist.barrier()
    if dist.get_rank() == 0:
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        for old in complete_checkpoints(home)[:-keep]:
            shutil.rmtree(old)
    dist.barrier()


def complete_checkpoints(home: Path) -> list[Path]:
    """The checkpoints in `home`, oldest first."""
    return sorted(home.glob("step_*"))
