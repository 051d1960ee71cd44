"""One process of `test_two_processes`: update a policy on recorded rollouts, leave losses and weights behind.

Usage: python tests/programs/one_process_of_two.py RANK WORLD_SIZE DIRECTORY
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from models.load import load_model
from sweep.grpo.deal import Scored
from sweep.grpo.learner import Learner
from sweep.job.processes import join
from sweep.rollout.sample import Finish, Sampled
from sweep.run.directory import RunDirectory


def main(rank: int, world_size: int, directory: Path) -> None:
    torch.set_num_threads(1)
    config = RunDirectory(directory).read_config()
    join(rank, world_size, rank, directory / f"meeting-{world_size}.json")
    rows = json.loads((directory / "rollouts.json").read_text())
    learner = Learner(load_model(config.model, directory / "model"), config)
    losses = []
    for step, rollout in enumerate(rows, 1):
        scored = [Scored(Sampled(r["prompt"], r["ids"], r["logprobs"], Finish.EOS), r["advantage"]) for r in rollout]
        metrics = learner.update(scored, step)
        losses.append([metrics["loss"], metrics["policy_kl"], metrics["grad_norm"], metrics["entropy"]])
    with learner.sampling_model() as model:
        if rank == 0:
            weights = {k: v.detach().clone().contiguous() for k, v in model.named_parameters()}
            save_file(weights, directory / f"weights-{world_size}.safetensors")
            (directory / f"losses-{world_size}.json").write_text(json.dumps(losses))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
