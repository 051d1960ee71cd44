"""Updates on recorded rollouts, once for each list of overrides; prints their metrics as JSON.

Usage: python tests/programs/updates_of_a_learner.py RANK WORLD_SIZE DIRECTORY

DIRECTORY holds model/, rollouts.json and cases.json.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import torch

from models.load import adapt, load_model
from sweep.grpo.deal import WithAdvantage
from sweep.grpo.learner import Learner
from sweep.job.processes import join
from sweep.plan.compose import compose_cells
from sweep.rollout.sample import Finish, Sampled
from sweep.stages.policy import sharded


def main(rank: int, world_size: int, directory: Path) -> None:
    torch.set_num_threads(1)
    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    join(rank, world_size, rank, directory / f"meeting-{world_size}.json")
    rollouts = json.loads((directory / "rollouts.json").read_text())
    cases = json.loads((directory / "cases.json").read_text())
    print(json.dumps([run(overrides, directory / "model", rollouts) for overrides in cases]))


def run(overrides: list[str], source: Path, rollouts: list[list[dict]]) -> list[dict]:
    learner = learner_of(overrides, source)
    rows = []
    for step, rollout in enumerate(rollouts, 1):
        row = learner.update([scored(rollout)], step)
        if learner.reference:
            (row["sequence_kl"],) = learner.sequence_kl([[s.sampled for s in scored(rollout)]], "k1")
        rows.append(row)
    learner.engine.destroy()
    return rows


def learner_of(overrides: list[str], source: Path) -> Learner:
    """A learner as a cell with these overrides has it, on the model at `source`."""
    (cell,) = compose_cells(overrides)
    config = cell.config
    with sharded(config, source):
        model = load_model(config.model, source)
        reference = load_model(config.model, source)
    torch.manual_seed(0)
    model = adapt(model, config.tuning, config.model)
    copy = reference if config.needs_reference and config.tuning.method == "full" else None
    return Learner(model, config, copy)


def scored(rollout: list[dict]) -> list[WithAdvantage]:
    sampled = [Sampled(r["prompt"], r["ids"], r["logprobs"], Finish.EOS, "") for r in rollout]
    return [WithAdvantage(s, r["advantage"]) for s, r in zip(sampled, rollout, strict=True)]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
