"""One training step of a randomly initialised model of a configuration's shape; prints how much memory it took.

Usage: python tests/programs/memory_of_a_step.py RANK WORLD_SIZE DIRECTORY

DIRECTORY is a run directory with a frozen configuration. Measures the increase of the process's peak resident memory
over what it held with all libraries loaded.
"""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import torch
from transformers import AutoConfig, AutoModelForCausalLM

import sweep.stages.train  # everything a training job imports  # noqa: F401
from models.load import DTYPES, adapt
from models.prompts import Stop
from sweep.grpo.deal import WithAdvantage
from sweep.grpo.learner import Learner
from sweep.job.processes import join, leave
from sweep.rollout.engine import open_sampler
from sweep.rollout.sample import Request
from sweep.rollout.stop import StopRules
from sweep.run.directory import RunDirectory

UNREACHABLE = 2**40


class NoText:
    def batch_decode(self, rows, **_options):
        return [""] * len(rows)


def peak() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main(rank: int, world_size: int, directory: Path) -> None:
    config = RunDirectory(directory).read_config()
    join(rank, world_size, rank, directory / "meeting.json")
    warm = torch.randn(512, 512, requires_grad=True)
    (warm.bfloat16() @ warm.bfloat16()).sum().backward()
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = psutil.Process().memory_info().rss

    settings = AutoConfig.from_pretrained(directory)
    model = AutoModelForCausalLM.from_config(settings, dtype=DTYPES[config.model.dtype])
    model = adapt(model, config.tuning, config.model)
    learner = Learner(model, config)
    prompt = [1 + i % 100 for i in range(config.rollout.max_prompt_tokens)]
    with learner.sampling_model() as policy:
        requests = [Request(prompt, ("memory", i)) for i in range(config.algorithm.responses_per_step)]
        sampled = open_sampler(config, StopRules(NoText(), Stop(ids=(UNREACHABLE,)))).sample(
            policy, requests, temperature=1.0
        )
    learner.update([[WithAdvantage(s, float(i % 2) - 0.5) for i, s in enumerate(sampled)]], step=1)
    print(peak() - before, flush=True)
    leave()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
