"""Update a policy on recorded rollouts, once for each run directory, and leave losses and weights in it.

Usage: python tests/programs/one_process_of_two.py RANK WORLD_SIZE DIRECTORY

DIRECTORY holds model/, rollouts.json, and in runs/ one run directory with a frozen configuration for each case.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from models.load import load_model
from sweep.grpo.deal import WithAdvantage
from sweep.grpo.learner import Learner
from sweep.job.processes import join
from sweep.rollout.sample import Finish, Sampled
from sweep.run.directory import RunDirectory


def main(rank: int, world_size: int, directory: Path) -> None:
    torch.set_num_threads(1)
    join(rank, world_size, rank, directory / f"meeting-{world_size}.json")
    rollouts = json.loads((directory / "rollouts.json").read_text())
    for run in sorted((directory / "runs").iterdir()):
        losses, weights = updated(run, directory / "model", rollouts)
        if rank == 0:
            save_file(weights, run / f"weights-{world_size}.safetensors")
            (run / f"losses-{world_size}.json").write_text(json.dumps(losses))


def updated(run: Path, source: Path, rollouts: list[list[dict]]) -> tuple[list[list[float]], dict[str, torch.Tensor]]:
    """The numbers of each step, and the weights after the last."""
    config = RunDirectory(run).read_config()
    learner = Learner(load_model(config.model, source), config)
    losses = []
    for step, rollout in enumerate(rollouts, 1):
        scored = [
            WithAdvantage(Sampled(r["prompt"], r["ids"], r["logprobs"], Finish.EOS), r["advantage"]) for r in rollout
        ]
        metrics = learner.update([scored], step)
        losses.append([metrics["loss"], metrics["policy_kl"], metrics["grad_norm"], metrics["entropy"]])
    with learner.sampling_model() as model:
        weights = {k: v.detach().clone().contiguous() for k, v in model.named_parameters()}
    learner.engine.destroy()
    return losses, weights


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
