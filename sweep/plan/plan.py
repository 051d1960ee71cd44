"""The plan of a sweep: its cells and the stages they share, with a directory for each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import UserError
from sweep.plan.compose import SHOWN_AXES, Composition, compose_cells
from sweep.plan.fit import machine_faults
from sweep.plan.signature import baseline_identity, cell_identity, labels_identity, signature
from sweep.plan.validate import check_data, validate
from sweep.run.config import CellConfig
from sweep.run.directory import DONE, RunDirectory
from sweep.run.names import LONGEST, short_name
from sweep.run.status import Status, read_status

# By name: dispatch never imports what a job runs.
BASELINE, LABEL, TRAIN = "sweep.stages.baseline", "sweep.stages.label", "sweep.stages.train"


@dataclass(frozen=True)
class Task:
    """A unit of work with a directory of its own: a stage, or the training of a cell."""

    label: str
    module: str
    signature: str
    identity: dict
    directory: Path
    config: CellConfig
    axes: dict[str, str]
    after: tuple[Path, ...] = ()

    @property
    def steps(self) -> int:
        return self.config.steps if self.module == TRAIN else 0


@dataclass(frozen=True)
class Plan:
    """What a sweep runs: `stages` first, each once, then `cells`. `obstacles`: why this machine cannot run it."""

    name: str
    root: Path
    stages: list[Task]
    cells: list[Task]
    obstacles: list[str]

    @property
    def tasks(self) -> list[Task]:
        return [*self.stages, *self.cells]

    def statuses(self) -> list[Status]:
        """The state of every task, as its directory tells."""
        return [read_status(t.label, t.directory, t.steps) for t in self.tasks]


def plan_sweep(overrides: Sequence[str], config_dir: str | None = None) -> Plan:
    """Compose, validate and lay out a sweep. Writes nothing.

    Raises:
        UserError: the input is at fault; every faulty cell is named.
    """
    compositions = compose_cells(overrides, config_dir)
    validate(compositions)
    root = _one(compositions, "output_dir", lambda c: str(Path(c.output_dir).expanduser().absolute()))
    name = _one(compositions, "name", lambda c: c.name)
    _one(compositions, "cluster", lambda c: c.cluster)
    stages: dict[str, Task] = {}
    cells: dict[str, Task] = {}
    for composition in compositions:
        fields = cell_identity(composition.config)
        place = composition.config, fields, Path(root)
        needed = [_baseline(*place), *_labels(*place)]
        for stage in needed:
            stages.setdefault(stage.signature, stage)
        cell = _cell(composition, fields, Path(root), after=tuple(stage.directory for stage in needed))
        if cell.signature in cells:
            raise UserError(
                f"{cell.label}: the same run as {cells[cell.signature].label}; nothing differs, leave one out"
            )
        cells[cell.signature] = cell
    check_data(compositions)
    plan_name = name or _default_name(list(cells.values()))
    obstacles = [*machine_faults(compositions), *_unextendable(cells.values())]
    return Plan(plan_name, Path(root), list(stages.values()), list(cells.values()), obstacles)


def _cell(composition: Composition, fields: dict, root: Path, after: tuple[Path, ...]) -> Task:
    config, sign = composition.config, signature(fields)
    title = short_name(f"{config.model.name}-{config.reward.title}", LONGEST)
    directory = root / "cells" / f"{title}-s{config.seed}-{sign}"
    if config.reward.needs_labels:
        labels = tuple(str(d.relative_to(root)) for d in after[1:])  # behind the baseline
        config = config.model_copy(update={"labels": config.labels.model_copy(update={"directories": labels})})
    return Task(composition.label, TRAIN, sign, fields, directory, config, composition.axes, after)


def _baseline(config: CellConfig, cell: dict, root: Path) -> Task:
    fields = baseline_identity(cell)
    sign = signature(fields)
    label = f"baseline of {config.model.name}"
    return Task(label, BASELINE, sign, fields, root / "stages" / f"baseline-{config.model.name}-{sign}", config, {})


def _unextendable(cells: Iterable[Task]) -> list[str]:
    """Finished runs whose target was raised, and whose checkpoints are gone: they would start over unasked."""
    faults = []
    for cell in cells:
        run = RunDirectory(cell.directory)
        state = run.read_state()
        reached = state.get("steps", 0)
        if state.get("state") == DONE and reached < cell.steps and not list(run.checkpoints.glob("step_*")):
            faults.append(
                f"{cell.label}: done to step {reached}, and its checkpoints were not kept; leave steps={reached}, or "
                f"delete {cell.directory} to train it again (checkpoint=resumable keeps them from the start)"
            )
    return faults


def _labels(config: CellConfig, cell: dict, root: Path) -> list[Task]:
    """The label stage of a cell that needs one, in as many tasks as jobs share it."""
    if not config.reward.needs_labels:
        return []
    tasks, jobs = [], config.labels.jobs
    for shard in range(jobs):
        fields = labels_identity(cell) | ({"shard": [shard, jobs, config.labels.chunk]} if jobs > 1 else {})
        sign = signature(fields)
        place = root / "stages" / f"labels-{config.model.name}-{sign}"
        label = f"labels of {config.model.name}" + (f" {shard + 1}/{jobs}" if jobs > 1 else "")
        own = config.model_copy(update={"labels": config.labels.model_copy(update={"shard": shard})})
        tasks.append(Task(label, LABEL, sign, fields, place, own, {}))
    return tasks


def _one(compositions: list[Composition], key: str, get):
    """The value of `key`, which all cells of a sweep must share."""
    values = {str(get(c.config)): get(c.config) for c in compositions}
    if len(values) > 1:
        raise UserError(f"{key}: one sweep has one {key}, not {', '.join(values)}")
    return next(iter(values.values()))


def _default_name(cells: list[Task]) -> str:
    """A name made from the cells, the same whenever the same sweep is typed again."""
    if len(cells) == 1:
        return cells[0].directory.name
    counts = [f"{len({c.axes[axis] for c in cells})}{axis}" for axis in SHOWN_AXES]
    digest = hashlib.sha256(" ".join(sorted(c.signature for c in cells)).encode()).hexdigest()[:6]
    return "-".join([*counts, digest])
