"""Cells, trainings and their times, composed for tests of predicted time."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import yaml

from sweep.config.cell import CellConfig
from sweep.plan.compose import compose_cells
from sweep.plan.expected import TaskTime, task_times
from sweep.plan.task import TRAIN, Task, new_task
from sweep.run.directory import CELLS, run_directory

GROUPS = ("model", "reward", "rollout", "cluster", "data", "tuning", "deepspeed", "prompt")


@cache
def composed(groups: tuple[str, ...]) -> str:
    (cell,) = compose_cells(list(groups))
    return json.dumps(cell.config.model_dump(mode="json"))


def config(*typed: str) -> CellConfig:
    """A cell with these choices of groups, which are composed once, and these values."""
    lines = [line.partition("=") for line in typed]
    values = json.loads(composed(tuple("".join(line) for line in lines if line[0] in GROUPS)))
    for key, _, value in lines:
        if key not in GROUPS:
            *sections, name = key.split(".")
            section = values
            for part in sections:
                section = section[part]
            section[name] = yaml.safe_load(value)
    return CellConfig.model_validate(values)


def training(root: Path, *typed: str) -> Task:
    """A training of a cell, in its directory below `root`."""
    cell = config(*typed)
    directory = run_directory(root, CELLS, f"{cell.model.name}-x-s{cell.seed}", "0" * 12)
    identity = {"seed": cell.seed}
    return new_task("a cell", TRAIN, directory, root, cell, signature=f"s{cell.seed}", identity=identity, axes={})


def time_of(root: Path, *typed: str) -> TaskTime:
    (found,) = task_times([training(root, *typed)], root)
    return found
