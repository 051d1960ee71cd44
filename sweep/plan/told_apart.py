"""Extend the equal labels of stages that several cells share by what differs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from sweep.plan.task import Task

Axes = Mapping[str, str]
SIGNATURE_LETTERS = 6


def told_apart(stages: Sequence[Task], needed_by: Mapping[str, Sequence[Axes]]) -> list[Task]:
    """Return the stages with labels that differ: `baseline of m` twice becomes `… prompt=a` and `… prompt=b`.

    Args:
        needed_by: the axes of the cells that need a stage, by its signature.
    """
    alike: dict[str, list[Task]] = defaultdict(list)
    for stage in stages:
        alike[stage.label].append(stage)
    labelled = [
        stage.called(" ".join([stage.label, *_differences(stage, alike[stage.label], needed_by)])) for stage in stages
    ]
    count = Counter(stage.label for stage in labelled)
    return [_signed(stage) if count[stage.label] > 1 else stage for stage in labelled]


def _signed(stage: Task) -> Task:
    return stage.called(f"{stage.label} {stage.signature[:SIGNATURE_LETTERS]}")


def _differences(stage: Task, among: Sequence[Task], needed_by: Mapping[str, Sequence[Axes]]) -> list[str]:
    """Return the axes in which all cells of `stage` agree, and in which another stage has other values."""
    own = _common(needed_by[stage.signature])
    others = [_common(needed_by[other.signature]) for other in among]
    return [f"{axis}={value}" for axis, value in own.items() if any(other.get(axis) != value for other in others)]


def _common(cells: Sequence[Axes]) -> Axes:
    """Return the values that all of the cells have."""
    first, *rest = cells
    return {axis: value for axis, value in first.items() if all(cell.get(axis) == value for cell in rest)}


def shared_axes(tasks: Sequence[Task], among: Sequence[Task]) -> list[str]:
    """Return the axis values, other than the model, that all `tasks` share and some other cell of the plan does not.

    They title a column.
    """
    first = tasks[0].axes
    shared = {key for key, value in first.items() if all(task.axes.get(key) == value for task in tasks)}
    return [f"{key}={first[key]}" for key in first if key in shared - {"model"} and _varies(key, among)]


def _varies(key: str, among: Sequence[Task]) -> bool:
    return len({task.axes.get(key) for task in among}) > 1
