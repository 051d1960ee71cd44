"""Sweeps as finished runs leave them behind, made by the project's own writers and without any training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from helpers.constants import TINY
from sweep.plan.plan import Plan, plan_sweep
from sweep.plan.task import Task
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.ledger import record

ANSWERS = {"problems": 500, "samples_per_problem": 2}
FINAL = {("ground_truth", 0): 0.7, ("ground_truth", 1): 0.71, ("random", 0): 0.5, ("random", 1): 0.46}  # for `give`


def finish(task: Task, accuracy: float = 0.5) -> None:
    """Write what a finished run leaves behind, without running it."""
    run = RunDirectory(task.directory)
    run.freeze(task.config, task.signature, task.identity, task.evaluations)
    run.write_state(state="done", step=task.steps, steps=task.steps)
    write_json(run.result, {"step": task.config.steps, "evaluation": run.evaluation_signature, "accuracy": accuracy})


def finish_all(plan: Plan, typed: Sequence[str] = ()) -> None:
    """Record the plan as launched with what was `typed`, and every run of it as finished."""
    entries = [[task.entry for task in tasks] for tasks in (plan.stages, plan.cells)]
    record(plan.name, plan.root, *entries, list(typed))
    for task in plan.tasks:
        finish(task)


def launched(root: Path, *typed: str, name: str = "s") -> Plan:
    """A sweep as its launch records it, every run of it finished."""
    overrides = [*TINY, f"name={name}", *typed]
    plan = plan_sweep([*overrides, f"output_dir={root}"])
    finish_all(plan, [*overrides, f"output_dir={root}"])
    return plan


def give(plan: Plan, final: dict[tuple[str, int], float], base: float = 0.5) -> None:
    """Results for the cells of a plan, by reward and seed, and for its baselines."""
    for task in plan.stages:
        rewrite(task.directory, accuracy=base)
    for task in plan.cells:
        rewrite(task.directory, accuracy=final[task.axes["reward"], task.config.seed])


def rewrite(directory: Path, **values: float) -> None:
    """Change numbers of the result of a finished run."""
    run = RunDirectory(directory)
    write_json(run.result, {**run.read_result(), **ANSWERS, **values})


def with_metrics(plan: Plan, values: dict[int, dict]) -> None:
    """Rows of metrics for every cell, by step; a cell adds a hundredth of its seed to each number."""
    for task in plan.cells:
        run = RunDirectory(task.directory)
        rows = [
            {"step": step, "evaluation": run.evaluation_signature}
            | {name: value + task.config.seed / 100 for name, value in row.items()}
            for step, row in values.items()
        ]
        run.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
