"""Evaluate the final weights of a finished run in another way than it was evaluated while it trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch.distributed as dist

from sweep.data.problems import Problem
from sweep.run.config import CellConfig
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.processes import any_rank, join, leave
from sweep.stages.attempt import Interrupted, Refused, StopRequest, attempt
from sweep.stages.policy import Initial, load_initial


def main(path: Path, rank: int, world_size: int, local_rank: int, meeting: Path) -> None:
    """The stage on one process; rank 0 writes `result.json`."""
    with attempt(path, rank) as (run, config, stop):
        join(rank, world_size, local_rank, meeting)
        trained = finished_run(config, run)
        policy = load_initial(config, run, stop, training=False, weights=trained.final)
        evaluate(policy, policy.evaluation_set(), stop, step=config.steps)
        leave()


def evaluate(
    policy: Initial, problem_set: tuple[list[Problem], list[list[int]]], stop: StopRequest, **known: int
) -> None:
    """Evaluate a policy on problems with their prompts; rank 0 writes the result, with what else is `known`.

    Raises:
        Interrupted: a stop was requested before the evaluation began.
    """
    problems, prompts = problem_set
    try:
        if any_rank(stop):
            raise Interrupted
        if dist.get_rank() == 0:
            policy.run.write_state(note=f"evaluating {len(problems)} problems")
        result = policy.evaluate(policy.model, problems, prompts)
    finally:
        policy.grader.close()
    if dist.get_rank() == 0:
        named = {"evaluation": policy.run.evaluation_signature, **asdict(result)}
        write_json(policy.run.result, {**known, **named})
        policy.run.write_state(accuracy=result.accuracy)


def finished_run(config: CellConfig, run: RunDirectory) -> RunDirectory:
    """The run whose weights are evaluated.

    Raises:
        Refused: its weights are not those of the step that this evaluation is for.
        FileNotFoundError: they are gone.
    """
    trained = RunDirectory(run.root / config.evaluation.weights)
    step = (trained.read_result() or {}).get("step")
    if step != config.steps:
        raise Refused(
            f"{trained.path.name} has no final weights of step {config.steps}"
            + (f", but of step {step}: it was trained on since" if step else "")
        )
    if not trained.final.is_dir():
        raise FileNotFoundError(f"{trained.final}, which held the weights to evaluate, is gone; put it back")
    return trained
