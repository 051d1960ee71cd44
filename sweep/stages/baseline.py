"""Evaluate the untrained model. Every cell of that model is compared with the result."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import torch.distributed as dist

from sweep.grpo.checks import check_forward
from sweep.job.attempt import attempt
from sweep.job.processes import join, leave
from sweep.stages.evaluating import untrained_weights
from sweep.stages.evaluation import evaluate
from sweep.stages.policy import load_setup
from sweep.stages.problem_sets import prepare_benchmarks


def main(path: Path, rank: int, world_size: int, local_rank: int, meeting: Path) -> None:
    """Run the stage on one process; rank 0 writes `result.json`."""
    with attempt(path, rank, world_size, meeting) as (run, config, stop, phases):
        with stop.ending_at_once(), phases.at("joining"):
            join(rank, world_size, local_rank, meeting)
        with ExitStack() as opened:
            with stop.ending_at_once(), phases.at("loading"):
                setup = load_setup(config, run, stop, training=False)
                opened.callback(setup.close)
                benchmarks = prepare_benchmarks(setup)
                check_forward(setup.model, benchmarks[0].prompts[0])
                dist.barrier()
            with stop.ending_at_once():
                evaluate(setup, untrained_weights(setup), benchmarks, phases)
        with phases.at("leaving"):
            leave()
