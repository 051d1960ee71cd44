"""Evaluate weights of a training again: in another way than while it trained, or those of an earlier step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import torch.distributed as dist

from sweep.config.cell import CellConfig
from sweep.evaluate.answering import Kept
from sweep.evaluate.asked import AskedBenchmark, WeightsAsked
from sweep.job.attempt import Refused, attempt
from sweep.job.phases import Phases
from sweep.job.processes import join, leave
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.kept_weights import kept_weights
from sweep.stages.evaluating import evaluate_policy, trained_weights
from sweep.stages.metrics import evaluation_result
from sweep.stages.policy import JobSetup, load_setup
from sweep.stages.problem_sets import prepare_benchmarks


def main(path: Path, rank: int, world_size: int, local_rank: int, meeting: Path) -> None:
    """Run the stage on one process; rank 0 writes `result.json`."""
    with attempt(path, rank, world_size, meeting) as (run, config, stop, phases):
        with stop.ending_at_once(), phases.at("joining"):
            join(rank, world_size, local_rank, meeting)
        with ExitStack() as opened:
            with stop.ending_at_once(), phases.at("loading"):
                trained, weights = weights_to_evaluate(config, run)
                setup = load_setup(config, run, stop, training=False, weights=weights)
                opened.callback(setup.close)
                benchmarks = prepare_benchmarks(setup)
                dist.barrier()
            with stop.ending_at_once():
                evaluate(setup, trained_weights(trained, config.steps), benchmarks, phases, step=config.steps)
        with phases.at("leaving"):
            leave()


def evaluate(
    setup: JobSetup, weights: WeightsAsked, benchmarks: Sequence[AskedBenchmark], phases: Phases, **also: int
) -> None:
    """Evaluate the model of `setup`, whose weights `weights` names.

    Rank 0 writes `result.json`, with the numbers of `also` beside the evaluation.
    """
    run = setup.run
    found = evaluate_policy(
        setup, setup.model, weights, benchmarks, lambda name: phases.at(f"evaluation: {name}"), _account(run)
    )
    if dist.get_rank() == 0:
        write_json(run.result, {**also, **evaluation_result(run, found.by_benchmark)})
        run.write_state(accuracy=found.by_benchmark[benchmarks[0].name].accuracy)


def _account(run: RunDirectory) -> Callable[[Kept], None]:
    """Return a function that writes into the run's state how far its evaluation is, and what it took."""
    held: dict[str, int] = {}

    def write(kept: Kept) -> None:
        """Add a chunk. Answers that earlier attempts wrote count as progress, but took no tokens of this one."""
        held[kept.benchmark] = kept.held
        note = f"{kept.held} of {kept.answers} answers to {kept.benchmark}"
        run.write_state(add=asdict(kept.spent), progress=sum(held.values()), note=note)

    return write


def weights_to_evaluate(config: CellConfig, run: RunDirectory) -> tuple[RunDirectory, Path]:
    """Return the run whose weights this evaluation reads, and the directory of those of its step.

    Raises:
        Refused: the run has no weights of the step that this evaluation is for.
        FileNotFoundError: its final weights are gone.
    """
    trained = RunDirectory(run.root / config.evaluation.weights)
    if (found := kept_weights(trained).get(config.steps)) is not None:
        return trained, found
    step = (trained.read_result() or {}).get("step")
    if step != config.steps:
        raise Refused(
            f"{trained.path.name} has no weights of step {config.steps}"
            + (f", and its final ones are of step {step}: it was trained on since" if step else "")
        )
    raise FileNotFoundError(f"{trained.final}, which held the weights to evaluate, is gone; put it back")
