"""Show plans as tables and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sweep.config.faults import plural
from sweep.data.problems import describe, load_split
from sweep.plan.evaluation_share import evaluation_share, share_lines
from sweep.plan.labels import problems_left
from sweep.plan.machine import devices_of, gpus, jobs_at_once
from sweep.plan.plan import Plan
from sweep.plan.resources import Memory, predict_disk, predict_memory
from sweep.plan.task import TRAIN, Task
from sweep.plan.time_view import time_lines, times_json
from sweep.plan.told_apart import shared_axes
from sweep.plan.validate import problem_sets
from sweep.run.costs import duration
from sweep.run.outlook import outlook
from sweep.run.state import State
from sweep.run.status import Status
from sweep.shown import human_bytes, shown, shown_lines

LARGEST_TABLE = 500  # rows; laying a table out takes milliseconds a row, so that more are plain lines
SHAPES = 6  # side by side in a table of memory
PHASES = {
    "parameters": "parameters",
    "gradients": "gradients",
    "optimizer": "optimizer",
    "libraries": "libraries",
    "optimizer step": "and in the optimizer step",
    "rollout": "or in a rollout",
    "buckets": "or in an update: buckets",
    "activations": "activations",
    "logits": "logits",
}
SECTIONS = ("libraries", "logits", "peak")  # the rows that a line follows


def print_plan(plan: Plan, console: Console) -> None:
    """Print the runs with their states, the memory of each distinct shape, and the obstacles to a launch here."""
    statuses = plan.statuses()
    rows = list(_rows(plan, statuses))
    if len(rows) > LARGEST_TABLE:
        console.file.write("".join("  ".join(filter(None, row)) + "\n" for row in rows))
    else:
        console.print(_runs(plan, rows))
    trained = [task.config for task in plan.cells if task.module == TRAIN]
    left = filter(None, [time_left(plan, statuses)])
    for line in [*_data(plan), *share_lines(trained), *_kept(plan), *_devices(plan), *left]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for table in _memory(plan):
        console.print(table)
    for line in time_lines(plan.times, plan.cells):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    print_notes(plan, console)
    for obstacle in plan.obstacles:
        console.print(f"a launch here would be refused: {obstacle}", style="yellow", markup=False, soft_wrap=True)


def print_notes(plan: Plan, console: Console) -> None:
    """Print a line for each note, such as a key that was typed and has no effect."""
    for note in plan.notes:
        console.print(shown_lines(f"note: {note}"), markup=False, highlight=False, soft_wrap=True)


def plan_json(plan: Plan) -> dict:
    """Return the plan with every prediction, in bytes, seconds and hours."""
    statuses, times = plan.statuses(), {time.task.signature: time.as_json() for time in plan.times}
    rows = [
        {"label": t.label, "signature": t.signature, "directory": str(t.directory), "state": s.state, **t.axes}
        | (_shape_json(t) | {"problems": problems_left(t, plan.root)} if t.steps else {})
        | {"time": times.get(t.signature)}
        for t, s in zip(plan.tasks, statuses, strict=True)
    ]
    stages = len(plan.stages)
    cells = {"stages": rows[:stages], "cells": rows[stages:]}
    said = {"notes": plan.notes, "obstacles": plan.obstacles, "time_left": time_left(plan, statuses)}
    return {"sweep": plan.name, **cells, "data": _data_json(plan), "time": times_json(plan.times), **said}


def _data(plan: Plan) -> Iterator[str]:
    """Yield a line for each problem set: how many problems its splits have, and what was left out of it."""
    for data, splits in problem_sets(task.config for task in plan.cells):
        known = "on the hub, read by `prefetch` and by the jobs" if data.source == "hub" else describe(data, splits)
        file = f" ({data.path})" if data.source == "jsonl" else ""
        yield f"data {data.name}{file}: {known}"


def time_left(plan: Plan, statuses: Sequence[Status]) -> str:
    """Return how long the plan will take here, estimated from its runs or else predicted; "" if nothing is left.

    On Slurm the number of runs at once is unknown, because the cluster decides it.
    """
    config = plan.cells[0].config
    at_once = jobs_at_once(config) if config.cluster.runs_here else None
    estimated = outlook(statuses, at_once)
    predicted = _predicted_seconds(plan, statuses) if estimated.seconds is None else None
    if predicted is None:
        return estimated.words()
    if at_once is None:
        return f"time left: about {duration(predicted)} of runs, as predicted"
    return f"time left: about {duration(predicted / min(at_once, estimated.runs))}, as predicted"


def _predicted_seconds(plan: Plan, statuses: Sequence[Status]) -> float | None:
    """Return the predicted seconds of what is left, one run after another; None if some run has no prediction."""
    expected = {time.task.signature: time.expected.seconds for time in plan.times}
    seconds = 0.0
    for task, status in zip(plan.tasks, statuses, strict=True):
        if status.state == State.DONE:
            continue
        if task.signature not in expected:
            return None
        seconds += expected[task.signature] * (1 - status.step / status.steps if status.steps else 1)
    return seconds


def _devices(plan: Plan) -> Iterator[str]:
    """Yield a line for each number of GPUs that cells take on this machine; none on a machine without GPUs."""
    here = [task.config for task in plan.cells if task.config.cluster.runs_here and gpus()]
    counts = Counter(map(devices_of, here))
    for count, config in {devices_of(config): config for config in here}.items():
        if count > len(gpus()):
            continue  # the launch is refused, which says so
        takes = (
            f"takes {count} of the {plural(len(gpus()), 'GPU')} that a launch here may use"
            if count
            else f"asks for no GPU and sees none of the {len(gpus())} here"
        )
        which = "a cell" if len(counts) > 1 else "each cell"
        yield f"{which} {takes}; {plural(min(jobs_at_once(config), counts[count]), 'cell')} at once"


def _kept(plan: Plan) -> Iterator[str]:
    """Yield a line for each way in which finished runs keep checkpoints and can be extended, and for kept weights."""
    counts = Counter((t.config.checkpoint.resumable, t.config.checkpoint.keep) for t in plan.cells if t.module == TRAIN)
    for (resumable, keep), count in counts.items():
        of_them = f"of {plural(count, 'cell')}" if len(counts) > 1 else "of each cell"
        if resumable:
            latest = (
                f"the latest checkpoint {of_them} is" if keep == 1 else f"the latest {keep} checkpoints {of_them} are"
            )
            yield f"once done: {latest} kept beside its weights; raising `steps` extends it"
        else:
            yield (
                f"once done: the weights {of_them} are kept and no checkpoint; raising `steps` would need it to be "
                "trained again (checkpoint=resumable keeps them)"
            )
    every = {task.config.checkpoint.weights_every: task.config for task in plan.cells if task.module == TRAIN}
    for steps, config in every.items():
        if steps is not None and (disk := predict_disk(config)):
            yield f"weights of every {steps} steps are kept for `evaluate`: {human_bytes(disk.weights)} a cell"


def _data_json(plan: Plan) -> list[dict]:
    """Return the problem sets with the counts of each split; without counts if planning does not read them."""
    return [
        {"name": data.name, "source": data.source}
        | ({} if data.source == "hub" else {split: load_split(data, split).as_json() for split in splits})
        for data, splits in problem_sets(task.config for task in plan.cells)
    ]


def _shape_json(task: Task) -> dict:
    memory, disk = _predicted(task), predict_disk(task.config)
    devices = devices_of(task.config) if task.config.cluster.runs_here else 0  # of this machine
    return {
        "processes": task.config.processes,
        "memory": memory and {**asdict(memory), "peak": memory.peak},
        "disk": disk and disk.peak,
        "disk_after": disk and disk.after,
        "evaluation_share": evaluation_share(task.config),
        **({"devices": devices} if devices else {}),
    }


def _predicted(task: Task) -> Memory | None:
    return predict_memory(task.config, on_gpu=task.config.resources.gpus > 0)


def _runs(plan: Plan, rows: list[tuple[str, ...]]) -> Table:
    table = Table(title=f"sweep {plan.name}: {plural(len(plan.cells), 'cell')}", title_justify="left")
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
        yield (shown(task.label), task.signature, status.state, *shape, *map(shown, problems))


def _labelled(plan: Plan) -> bool:
    return any(task.config.reward.needs_labels for task in plan.cells)


def _problems(task: Task, plan: Plan) -> str:
    """Return how many problems the labels leave a cell, once there are labels."""
    if not task.steps or not task.config.reward.needs_labels:
        return ""
    left = problems_left(task, plan.root)
    return "after labels" if left is None else left["refused"] or f"{left['training']} of {left['labelled']}"


def _memory(plan: Plan) -> Iterator[Table]:
    """Yield tables of memory, with a column for each distinct shape among the cells."""
    shapes: dict[tuple[str, tuple[tuple[str, str], ...]], list[Task]] = {}
    for task in plan.cells:
        shapes.setdefault((task.config.model.name, _account(task)), []).append(task)
    titles = [" ".join([model, *shared_axes(tasks, plan.cells)]) for (model, _), tasks in shapes.items()]
    for first in range(0, len(shapes), SHAPES):
        table = Table(title="memory of each process, predicted", title_justify="left")
        table.add_column("")
        for title in titles[first : first + SHAPES]:
            table.add_column(escape(title), justify="right", overflow="fold")
        accounts = [dict(account) for _, account in list(shapes)[first : first + SHAPES]]
        for row in accounts[0]:
            table.add_row(row, *(account[row] for account in accounts), end_section=row in SECTIONS)
        yield table


def _account(task: Task) -> tuple[tuple[str, str], ...]:
    """Return the rows of a shape: what is always held, what each phase adds, and the peak of both together."""
    memory, asked = _predicted(task), task.config.resources
    parts = memory.parts if memory else dict.fromkeys(PHASES)
    sizes = {PHASES[part]: size for part, size in parts.items()} | {"peak": memory and memory.peak}
    lengths = task.config.rollout
    gpu = f"{asked.gpu_memory_gb:g} GiB a GPU" if asked.gpu_memory_gb else "any GPU"
    return (
        *((row, "unknown" if size is None else human_bytes(size)) for row, size in sizes.items()),
        ("asked", gpu if asked.gpus else "no GPU"),
        ("processes", str(task.config.processes)),
        ("prompt + response", f"{lengths.max_prompt_tokens} + {lengths.max_response_tokens} tokens"),
    )
