"""Evaluate the final weights of a finished run again, in another way than while it trained."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import torch.distributed as dist

from sweep.config.cell import CellConfig
from sweep.job.attempt import Refused, attempt
from sweep.job.processes import join, leave
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.stages.evaluating import evaluate_policy
from sweep.stages.policy import JobSetup, load_setup
from sweep.stages.problem_sets import ProblemSet, prepare_evaluation_set
from sweep.stages.spending import evaluated_tokens


def main(path: Path, rank: int, world_size: int, local_rank: int, meeting: Path) -> None:
    """Run the stage on one process; rank 0 writes `result.json`."""
    with attempt(path, rank, world_size, meeting) as (run, config, stop, phases):
        with stop.ending_at_once(), phases.at("joining"):
            join(rank, world_size, local_rank, meeting)
        with ExitStack() as opened:
            with stop.ending_at_once(), phases.at("loading"):
                trained = finished_run(config, run)
                setup = load_setup(config, run, stop, training=False, weights=trained.final)
                opened.callback(setup.grader.close)
                problem_set = prepare_evaluation_set(setup)
                dist.barrier()
            with stop.ending_at_once(), phases.at("evaluation"):
                evaluate(setup, problem_set, step=config.steps)
        with phases.at("leaving"):
            leave()


def evaluate(setup: JobSetup, problem_set: ProblemSet, **also: int) -> None:
    """Evaluate the model of `setup`; rank 0 writes `result.json`, with the numbers of `also` beside the evaluation."""
    run = setup.run
    if dist.get_rank() == 0:
        run.write_state(note=f"evaluating {len(problem_set.problems)} problems")
    found = evaluate_policy(setup, setup.model, problem_set)
    if dist.get_rank() == 0:
        write_json(run.result, {**also, "evaluation": run.evaluation_signature, **asdict(found)})
        run.write_state(add=evaluated_tokens(found, problem_set.prompts), accuracy=found.accuracy)


def finished_run(config: CellConfig, run: RunDirectory) -> RunDirectory:
    """Return the run whose weights this evaluation reads.

    Raises:
        Refused: its final weights are not those of the step that this evaluation is for.
        FileNotFoundError: its final weights are gone.
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
