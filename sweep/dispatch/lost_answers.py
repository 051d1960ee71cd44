"""Evaluations that are done and that no longer hold: their answers were removed since, as messages about damaged ones
advise, or the weights were written anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sweep.plan.task import Task
from sweep.run.answer_manifest import has_manifest
from sweep.run.answer_places import of_benchmark, of_model, of_training
from sweep.run.directory import RunDirectory
from sweep.run.identity import answers_identity
from sweep.run.kept_weights import kept_weights
from sweep.run.state import State


def open_again(tasks: Iterable[Task]) -> None:
    """Record the evaluations that are done, but no longer hold, as interrupted: they are to go on.

    What they took so far stays in their records. Answers of the same weights that are there are not sampled again.
    """
    for task in tasks:
        run = RunDirectory(task.directory)
        if run.read_state().state != State.DONE:
            continue
        if gone := _gone(task):
            run.write_state(state=State.INTERRUPTED, note=f"the answers to {', '.join(gone)} were removed", error=None)
        elif _are_newer(task, run.result):
            run.write_state(state=State.INTERRUPTED, note="its weights were written anew", error=None)


def _are_newer(task: Task, result: Path) -> bool:
    """Return whether the weights of a training were written after `result`: the training was resumed before that step,
    and may have reached others. If they are the same, the job finds all of their answers.
    """
    trained = task.config.evaluation.weights
    if trained is None or not result.exists():
        return False
    weights = kept_weights(RunDirectory(task.root / trained)).get(task.config.steps)
    files = weights.glob("*.safetensors") if weights else ()
    return max((file.stat().st_mtime for file in files), default=0.0) > result.stat().st_mtime


def _gone(task: Task) -> list[str]:
    """Return the benchmarks whose answers are not there. What is there and damaged is left for its job to refuse.

    Results of older versions stand without answers.
    """
    if "benchmarks" not in (RunDirectory(task.directory).read_result() or {}):
        return []
    place = weights_place(task)
    return [
        name
        for name, identity in task.evaluations.items()
        if not has_manifest(of_benchmark(place, name, answers_identity(identity)))
    ]


def weights_place(task: Task) -> Path:
    """Return the directory for answers of the weights that the task evaluates."""
    trained = task.config.evaluation.weights
    if trained is None:
        return of_model(task.root, task.config.model.name, task.identity["model"])
    return of_training(task.root, Path(trained).name, task.config.steps)
