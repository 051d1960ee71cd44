"""Evaluate the final weights of a finished run in another way than it was evaluated while it trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch.distributed as dist

from sweep.config.cell import CellConfig
from sweep.data.problems import Problem
from sweep.job.attempt import Refused, attempt
from sweep.job.processes import join, leave
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.stages.policy import Initial, load_initial
from sweep.stages.spending import evaluated_tokens


def main(path: Path, rank: int, world_size: int, local_rank: int, meeting: Path) -> None:
    """The stage on one process; rank 0 writes `result.json`."""
    with attempt(path, rank, world_size, meeting) as (run, config, stop, phases):
        with stop.ending_at_once(), phases.at("joining"):
            join(rank, world_size, local_rank, meeting)
        with stop.ending_at_once(), phases.at("loading"):
            trained = finished_run(config, run)
            policy = load_initial(config, run, stop, training=False, weights=trained.final)
            problem_set = policy.evaluation_set()
            dist.barrier()
        with stop.ending_at_once(), phases.at("evaluation"):
            evaluate(policy, problem_set, step=config.steps)
        with phases.at("leaving"):
            leave()


def evaluate(policy: Initial, problem_set: tuple[list[Problem], list[list[int]]], **known: int) -> None:
    """Evaluate a policy on problems with their prompts; rank 0 writes the result, with what else is `known`."""
    problems, prompts = problem_set
    try:
        if dist.get_rank() == 0:
            policy.run.write_state(note=f"evaluating {len(problems)} problems")
        result = policy.evaluate(policy.model, problems, prompts)
    finally:
        policy.grader.close()
    if dist.get_rank() == 0:
        named = {"evaluation": policy.run.evaluation_signature, **asdict(result)}
        write_json(policy.run.result, {**known, **named})
        policy.run.write_state(add=evaluated_tokens(result, prompts), accuracy=result.accuracy)


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
