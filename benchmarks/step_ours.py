"""A side of benchmarks/grpo_step.py: this project's own sampler and learner.

Usage: python benchmarks/step_ours.py WORKLOAD [RANK WORLD_SIZE]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.workload import Workload, load_policy, serve
from models.load import adapt
from models.prompts import Stop
from sweep.config.cell import CellConfig
from sweep.grpo.deal import WithAdvantage
from sweep.grpo.learner import Learner
from sweep.job.processes import device, join
from sweep.plan.compose import compose_cells
from sweep.rollout.engine import open_sampler
from sweep.rollout.sample import Request
from sweep.rollout.stop import StopRules

UNREACHABLE = 2**40


class NoText:
    """Rewards play no part here, so no text is made."""

    def batch_decode(self, rows, **_options):
        return [""] * len(rows)


def cell(workload: Workload, processes: int = 1) -> CellConfig:
    (found,) = compose_cells(
        [
            "model=smollm2_135m",
            "data=mini_arithmetic",
            "model.architecture=null",
            f"model.path={workload.model}",
            f"model.dtype={workload.dtype}",
            f"rollout={workload.engine}",
            f"rollout.max_response_tokens={workload.max_tokens}",
            f"algorithm.prompts_per_step={workload.prompts}",
            f"algorithm.samples_per_prompt={workload.samples}",
            "algorithm.updates_per_rollout=1",
            f"deepspeed.processes={processes}",
            f"deepspeed.micro_batch_tokens={workload.micro_batch_tokens}",
            "deepspeed.gradient_checkpointing=false",
        ]
    )
    return found.config


class Stepper:
    """A policy and its sampler, which do a workload's step in two calls."""

    def __init__(self, workload: Workload, config: CellConfig, meeting: Path, rank=0, world_size=1) -> None:
        self.workload, self.prompts = workload, workload.prompt_ids()
        self.mine = range(workload.responses)[rank::world_size]
        join(rank, world_size, rank, meeting)
        self.learner = Learner(adapt(load_policy(workload, device()), config.tuning, config.model), config)
        self.sampler = open_sampler(config, StopRules(NoText(), Stop((UNREACHABLE,))))
        self.answers = []

    def rollout(self, number: int) -> None:
        length, samples = self.workload.length_of, self.workload.samples
        requests = [Request(self.prompts[i // samples], (0, "benchmark", number, i), length(i)) for i in self.mine]
        with self.learner.sampling_model() as policy:
            self.answers = self.sampler.sample(policy, requests, temperature=1.0)
        assert [len(a.ids) for a in self.answers] == [length(i) for i in self.mine]

    def update(self, number: int) -> None:
        self.learner.update([[WithAdvantage(a, (-1.0) ** i) for i, a in enumerate(self.answers)]], number)


def main(file: str, rank: int = 0, world_size: int = 1) -> None:
    meeting = Path(file).with_suffix(".meeting") if world_size > 1 else Path(tempfile.mkdtemp()) / "meeting"
    workload = Workload.read(file)
    stepper = Stepper(workload, cell(workload, world_size), meeting, rank, world_size)

    def step(number: int) -> dict:
        began = time.perf_counter()
        stepper.rollout(number)
        sampled = time.perf_counter()
        stepper.update(number)
        return {"rollout": sampled - began, "update": time.perf_counter() - sampled}

    serve(step)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
