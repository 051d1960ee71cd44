"""Plans as tables and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sweep.plan.fit import human_bytes
from sweep.plan.labels import problems_left
from sweep.plan.plan import Plan, Task
from sweep.plan.resources import Memory, predict_disk, predict_memory
from sweep.run.status import Status

LARGEST_TABLE = 500  # rows; laying a table out takes milliseconds a row, so that more are plain lines


def print_plan(plan: Plan, console: Console) -> None:
    """Runs with their states, memory of each distinct shape, and what stands in the way of a launch here."""
    rows = list(_rows(plan, plan.statuses()))
    if len(rows) > LARGEST_TABLE:
        console.file.write("".join("  ".join(filter(None, row)) + "\n" for row in rows))
    else:
        console.print(_runs(plan, rows))
    console.print(_memory(plan))
    for obstacle in plan.obstacles:
        console.print(f"a launch here would be refused: {obstacle}", style="yellow", markup=False, soft_wrap=True)


def plan_json(plan: Plan) -> dict:
    """The plan with every prediction in bytes."""
    rows = [
        {"label": t.label, "signature": t.signature, "directory": str(t.directory), "state": s.state, **t.axes}
        | (_shape_json(t) | {"problems": problems_left(t, plan.root)} if t.steps else {})
        for t, s in zip(plan.tasks, plan.statuses(), strict=True)
    ]
    stages = len(plan.stages)
    return {"sweep": plan.name, "stages": rows[:stages], "cells": rows[stages:], "obstacles": plan.obstacles}


def _shape_json(task: Task) -> dict:
    memory, disk = _predicted(task), predict_disk(task.config)
    return {
        "processes": task.config.processes,
        "memory": memory and vars(memory),
        "disk": disk and disk.peak,
        "disk_after": disk and disk.after,
    }


def _predicted(task: Task) -> Memory | None:
    return predict_memory(task.config, on_gpu=task.config.resources.gpus > 0)


def _runs(plan: Plan, rows: list[tuple[str, ...]]) -> Table:
    table = Table(title=f"sweep {plan.name}: {len(plan.cells)} cells", title_justify="left")
    columns = ("run", "signature", "state", "steps", "processes", "disk", "problems")
    for column in columns if _labelled(plan) else columns[:-1]:
        table.add_column(column, overflow="fold")
    for label, *cells in rows:
        table.add_row(escape(label), *cells)
    return table


def _rows(plan: Plan, statuses: list[Status]) -> Iterator[tuple[str, ...]]:
    labelled = _labelled(plan)
    for task, status in zip(plan.tasks, statuses, strict=True):
        size = predict_disk(task.config) if task.steps else None
        disk = f"{human_bytes(size.peak)}, then {human_bytes(size.after)}" if size else "unknown" if task.steps else ""
        shape = str(task.steps or ""), str(task.config.processes), disk
        problems = [_problems(task, plan)] if labelled else []
        yield (task.label, task.signature, status.state, *shape, *problems)


def _labelled(plan: Plan) -> bool:
    return any(task.config.reward.needs_labels for task in plan.cells)


def _problems(task: Task, plan: Plan) -> str:
    """How many problems the labels leave a cell, once there are labels."""
    if not task.steps or not task.config.reward.needs_labels:
        return ""
    left = problems_left(task, plan.root)
    return "after labels" if left is None else left["refused"] or f"{left['training']} of {left['labelled']}"


def _memory(plan: Plan) -> Table:
    """One row for each distinct shape among the cells."""
    columns = {
        "weights": "parameters",
        "gradients": "gradients",
        "optimiser": "optimizer",
        "its step": "optimizer_step",
        "activations": "activations",
        "logits": "logits",
        "rollout": "rollout",
        "peak": "peak",
    }
    table = Table(title="memory of each process, predicted", title_justify="left")
    for column in ("model", "processes", *columns, "asked"):
        table.add_column(column, overflow="fold")
    rows = {}
    for task in plan.cells:
        memory, asked = _predicted(task), task.config.resources
        sizes = [human_bytes(getattr(memory, c)) if memory else "unknown" for c in columns.values()]
        size = f"{asked.gpu_memory_gb:g} GiB" if asked.gpu_memory_gb else "any size"
        gpu = f"{asked.gpus} × {size}" if asked.gpus else "no GPU"
        rows[(task.config.model.name, str(task.config.processes), *sizes, gpu)] = None
    for row in rows:
        table.add_row(*row)
    return table
