"""Evaluate the untrained model: the number every cell of that model is compared with."""

from __future__ import annotations

from pathlib import Path

import torch.distributed as dist

from sweep.grpo.checks import check_forward
from sweep.job.attempt import attempt
from sweep.job.processes import join, leave
from sweep.stages.evaluation import evaluate
from sweep.stages.policy import load_initial


def main(path: Path, rank: int, world_size: int, local_rank: int, meeting: Path) -> None:
    """The stage on one process; rank 0 writes `result.json`."""
    with attempt(path, rank, world_size, meeting) as (run, config, stop, phases):
        with stop.ending_at_once(), phases.at("joining"):
            join(rank, world_size, local_rank, meeting)
        with stop.ending_at_once(), phases.at("loading"):
            initial = load_initial(config, run, stop, training=False)
            problems, prompts = initial.evaluation_set()
            check_forward(initial.model, prompts[0])
            dist.barrier()
        with stop.ending_at_once(), phases.at("evaluation"):
            evaluate(initial, (problems, prompts))
        with phases.at("leaving"):
            leave()
