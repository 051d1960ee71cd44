"""Sweeps as finished runs leave them behind, made by the project's own writers and without any training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sweep.plan.plan import Plan
from sweep.plan.task import Task
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.ledger import Entry, record


def finish(task: Task, accuracy: float = 0.5) -> None:
    """Write what a finished run leaves behind, without running it."""
    run = RunDirectory(task.directory)
    run.freeze(task.config, task.signature, task.identity, task.evaluation)
    run.write_state(state="done", step=task.steps, steps=task.steps)
    write_json(run.result, {"step": task.config.steps, "evaluation": run.evaluation_signature, "accuracy": accuracy})


def entry_of(task: Task, root: Path, **changes) -> Entry:
    """What the ledger holds of a task, with `changes`."""
    place, needs = str(task.directory.relative_to(root)), [str(d.relative_to(root)) for d in task.after]
    of_config = task.config.model.name, task.config.reward.title, task.config.seed
    entry = Entry(task.label, task.module, task.axes, *of_config, task.signature, task.steps, place, needs)
    return replace(entry, **changes)


def finish_all(plan: Plan) -> None:
    """Record the plan as launched, and every run of it as finished."""
    entries = [[entry_of(task, plan.root) for task in tasks] for tasks in (plan.stages, plan.cells)]
    record(plan.name, plan.root, *entries, [])
    for task in plan.tasks:
        finish(task)
