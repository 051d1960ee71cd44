"""Updates in which the last process meets a number that is not finite; prints what became of each case, as JSON.

Usage: python tests/programs/faults_of_a_learner.py RANK WORLD_SIZE DIRECTORY

DIRECTORY holds model/, rollouts.json and cases.json. A case is {"overrides": […], "fault": WHERE}; of it comes
{"message", "evidence", "changed", "backward"}: what was raised, how many responses this process said it worked on,
whether any weight or moment changed, and how many backward passes began.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from updates_of_a_learner import learner_of, scored

from sweep.grpo import learner as module
from sweep.grpo.learner import Learner
from sweep.job.processes import join
from sweep.run.not_finite import NotFinite

POLICY_LOSS = module.policy_loss


class BadGradient(torch.autograd.Function):
    """The identity, whose gradient is NaN."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * math.nan


def main(rank: int, world_size: int, directory: Path) -> None:
    torch.set_num_threads(1)
    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    join(rank, world_size, rank, directory / f"meeting-{world_size}.json")
    (rollout,) = json.loads((directory / "rollouts.json").read_text())
    cases = json.loads((directory / "cases.json").read_text())
    print(json.dumps([run(case, directory / "model", rollout) for case in cases]))


def run(case: dict, source: Path, rollout: list[dict]) -> dict:
    learner, passes = learner_of(case["overrides"], source), []
    last = dist.get_rank() == dist.get_world_size() - 1
    module.policy_loss = POLICY_LOSS
    learner.update([scored(rollout)], 1)  # in good order, so that the optimiser has moments
    if case["fault"] == "weight" and last:
        list(learner._trained_tensors())[-1][1].view(-1)[-1] = math.inf
    module.policy_loss = faulty_loss(case["fault"]) if last else POLICY_LOSS
    backward = learner.engine.backward
    learner.engine.backward = lambda loss: (passes.append(1), backward(loss))
    before, found = digest(learner), {"message": None, "evidence": None}
    try:
        learner.refuse_weights() if case["fault"] == "weight" else learner.update([scored(rollout)], 2)
    except NotFinite as fault:
        found = {"message": str(fault), "evidence": fault.evidence and len(fault.evidence.get("responses", []))}
    found |= {"changed": digest(learner) != before, "backward": len(passes)}
    learner.engine.destroy()
    return found


def faulty_loss(fault: str):
    """`policy_loss` with NaN or infinity in the loss, a log-prob, a ratio or the gradient; elsewhere as it is."""

    def loss_of(inputs, algorithm):
        if fault == "log-prob":
            inputs.trainer_logprobs_bt.data[0, 0] = -math.inf
        if fault == "ratio":  # of a good answer: the clipped objective and so the loss stay finite
            inputs.denominator_logprobs_bt[int(inputs.advantages_b.argmax()), 0] = -200.0
        loss, found = POLICY_LOSS(inputs, algorithm)
        if fault == "gradient":
            loss = BadGradient.apply(loss)
        return (loss * math.nan if fault == "loss" else loss), found

    return loss_of


def digest(learner: Learner) -> str:
    """Of the bytes of this process's weights and moments."""
    found = hashlib.sha256()
    for name, tensor in learner._trained_tensors():
        found.update(name.encode() + tensor.detach().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
