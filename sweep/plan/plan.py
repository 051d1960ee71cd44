"""The plan of a sweep: its cells and the stages they share, with a directory for each."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sweep.config.cell import CellConfig, ClusterConfig
from sweep.errors import UserError
from sweep.plan.compose import SHOWN_AXES, Composition, compose_cells
from sweep.plan.earlier import Shelf, outdated, under_another_evaluation
from sweep.plan.evaluation_share import share_warnings
from sweep.plan.expected import TaskTime, task_times, too_long
from sweep.plan.fit import cells_without_gpus, cells_without_vllm, machine_faults
from sweep.plan.functions import function_faults
from sweep.plan.local import settings_that_count
from sweep.plan.signature import (
    baseline_identity,
    benchmark_identities,
    evaluation_identity,
    labels_identity,
    rerun_identity,
    training_identity,
)
from sweep.plan.task import BASELINE, EVALUATION, LABEL, TRAIN, Task, new_task
from sweep.plan.told_apart import told_apart
from sweep.plan.tracking import tracking_obstacles
from sweep.plan.unread import run_once
from sweep.plan.validate import check, check_data, validate
from sweep.run.checkpoints import checkpoints
from sweep.run.directory import CELLS, STAGES, RunDirectory
from sweep.run.identity import signature
from sweep.run.names import LONGEST, short_name
from sweep.run.state import State
from sweep.run.status import Status, read_status


@dataclass(frozen=True)
class Plan:
    """The runs of a sweep: `stages` first, each once, then `cells`.

    `obstacles`: why this machine cannot run it. `notes`: what was typed and has no effect, and other remarks.
    """

    name: str
    root: Path
    stages: list[Task]
    cells: list[Task]
    obstacles: list[str]
    notes: list[str]

    @property
    def tasks(self) -> list[Task]:
        """The stages, then the cells."""
        return [*self.stages, *self.cells]

    @property
    def cluster(self) -> ClusterConfig:
        """The cluster of every cell: a sweep has one."""
        return self.cells[0].config.cluster

    @cached_property
    def times(self) -> list[TaskTime]:
        """The time of every task whose model's shape is known, in order."""
        return task_times(self.tasks, self.root)

    def statuses(self) -> list[Status]:
        """Return the state of every task, as its directory has it."""
        return [read_status(t.entry, t.root) for t in self.tasks]


def plan_sweep(overrides: Sequence[str], config_dir: str | None = None) -> Plan:
    """Compose, validate and lay out a sweep. Writes nothing.

    Raises:
        UserError: the input is at fault; every faulty cell is named.
    """
    return lay_out(*checked_cells(overrides, config_dir), overrides, config_dir)


def lay_out(
    compositions: list[Composition], notes: Sequence[str], overrides: Sequence[str], config_dir: str | None
) -> Plan:
    """Return the plan of cells that break no rule.

    Args:
        compositions, notes: what `checked_cells` returned for `overrides` and `config_dir`.
    Raises:
        UserError: the cells are of two sweeps, or their problems cannot be read.
    """
    root = _one(compositions, "output_dir", lambda c: str(Path(c.output_dir).expanduser().absolute()))
    name = _one(compositions, "name", lambda c: c.name)
    _one(compositions, "cluster", lambda c: c.cluster)
    made = _Tasks(Shelf(Path(root)))
    for composition in compositions:
        made.add(composition)
    check_data(compositions)
    stages, cells = made.in_order()
    check([t for t in stages if t.module == TRAIN and not _is_done(t)])  # frozen by an earlier launch
    notes = [*settings_that_count(overrides, config_dir, compositions[0].config.cluster.kind), *notes]
    notes += [*_all_beyond(cells), *made.beyond, *share_warnings(t.config for t in cells if t.module == TRAIN)]
    misfits = machine_faults(compositions)
    notes += [*cells_without_vllm(compositions), *([] if misfits else cells_without_gpus(compositions))]
    obstacles = [*misfits, *_unextendable(cells), *made.short, *outdated(cells, made.shelf)]
    obstacles += tracking_obstacles(c.config for c in compositions)
    of_functions, doubts = function_faults(compositions)
    named = name or _default_name(cells)
    return with_time_noted(Plan(named, Path(root), stages, cells, [*obstacles, *of_functions], [*notes, *doubts]))


def with_time_noted(plan: Plan) -> Plan:
    """Add to the notes of a plan which of its tasks on Slurm, that are not done, cannot end in the hours of one job."""
    if plan.cells and not plan.cluster.runs_here:
        plan.notes.extend(too_long([time for time in plan.times if not _is_done(time.task)]))
    return plan


def checked_cells(overrides: Sequence[str], config_dir: str | None) -> tuple[list[Composition], list[str]]:
    """Return the cells of a sweep that breaks no rule, each once, and notes about keys that have no effect.

    Raises:
        UserError: the input is at fault; every faulty cell is named.
    """
    cells, notes = run_once(compose_cells(overrides, config_dir))
    validate(cells)
    return cells, notes


class _Tasks:
    """The tasks of a plan by signature.

    `short`: a message for each evaluation of fewer steps than the sweep sets. `beyond`: one for each of more steps.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.short: list[str] = []
        self.beyond: list[str] = []
        self.stages: dict[str, Task] = {}
        self.cells: dict[str, Task] = {}
        self.needed_by: dict[str, list[dict[str, str]]] = defaultdict(list)  # axes of cells, by a stage's signature

    def add(self, composition: Composition) -> None:
        """Add a cell and the stages it needs.

        A training that is finished under another evaluation, or that this sweep holds under another one, is not
        trained again: the cell is then the evaluation of its final weights. No two cells of a sweep are the same in
        both, because `validate` refuses that.
        """
        config, evaluations = composition.config, benchmark_identities(composition.config)
        baseline, labels = self._baseline(config, evaluations), self._labels(config)
        for stage in (baseline, *labels):
            self.stages.setdefault(stage.signature, stage)
            self.needed_by[stage.signature].append(composition.axes)
        cell = self._training(composition, evaluations, baseline, labels)
        trained = self.cells.get(cell.signature)
        if trained is None and (trained := under_another_evaluation(cell, [t.directory for t in labels])):
            self.stages.setdefault(trained.signature, trained)
            self.needed_by[trained.signature].append(composition.axes)
        if trained is not None and [*trained.evaluations.values()] != [*evaluations.values()]:
            cell = self._rerun(composition, evaluations, baseline, trained)
        self.cells[cell.signature] = cell

    def in_order(self) -> tuple[list[Task], list[Task]]:
        """Return stages and cells, each task once; a training stands before the evaluations of it."""
        stages = [task for sign, task in self.stages.items() if sign not in self.cells]
        cells = sorted(self.cells.values(), key=lambda task: task.module == EVALUATION)
        return told_apart(stages, self.needed_by), cells

    def _baseline(self, config: CellConfig, evaluations: dict[str, dict]) -> Task:
        identity = baseline_identity(config, evaluation_identity(evaluations))
        sign = signature(identity)
        directory = self.shelf.directory(STAGES, f"baseline-{config.model.name}", sign)
        label = f"baseline of {config.model.name}"
        return new_task(
            label,
            BASELINE,
            directory,
            self.shelf.root,
            config,
            axes={},
            signature=sign,
            identity=identity,
            evaluations=evaluations,
        )

    def _labels(self, config: CellConfig) -> list[Task]:
        """Return the label stage of a cell that needs one, in as many tasks as jobs share it."""
        if not config.reward.needs_labels:
            return []
        tasks, jobs = [], config.labels.jobs
        for shard in range(jobs):
            identity = labels_identity(config) | ({"shard": [shard, jobs, config.labels.chunk]} if jobs > 1 else {})
            sign = signature(identity)
            place = self.shelf.directory(STAGES, f"labels-{config.model.name}", sign)
            label = f"labels of {config.model.name}" + (f" {shard + 1}/{jobs}" if jobs > 1 else "")
            own = config.model_copy(update={"labels": config.labels.model_copy(update={"shard": shard})})
            tasks.append(
                new_task(label, LABEL, place, self.shelf.root, own, axes={}, signature=sign, identity=identity)
            )
        return tasks

    def _training(
        self, composition: Composition, evaluations: dict[str, dict], baseline: Task, labels: list[Task]
    ) -> Task:
        config, identity = composition.config, training_identity(composition.config)
        sign = signature(identity)
        directory = self.shelf.directory(CELLS, _cell_name(config), sign)
        if labels:
            places = tuple(str(t.directory.relative_to(self.shelf.root)) for t in labels)
            config = config.model_copy(update={"labels": config.labels.model_copy(update={"directories": places})})
        after = [t.directory for t in (baseline, *labels)]
        return new_task(
            composition.label,
            TRAIN,
            directory,
            self.shelf.root,
            config,
            after=after,
            signature=sign,
            identity=identity,
            evaluations=evaluations,
            axes=composition.axes,
        )

    def _rerun(self, composition: Composition, evaluations: dict[str, dict], baseline: Task, trained: Task) -> Task:
        """Return the task that evaluates the weights of `trained`."""
        config = composition.config
        if trained.steps < config.steps:  # it is still running: a finished one would be continued
            self.short.append(
                f"{composition.label}: another launch is training it to step {trained.steps} under another evaluation; "
                f"launch again when it is done and it goes on to step {config.steps}, or set steps={trained.steps}"
            )
        elif trained.steps > config.steps:
            self.beyond.append(_beyond(composition.label, trained.steps, config.steps))
        identity = rerun_identity(trained.signature, trained.steps, evaluation_identity(evaluations))
        sign = signature(identity)
        directory = self.shelf.directory(STAGES, f"evaluation-{_cell_name(config)}", sign)
        weights = str(trained.directory.relative_to(self.shelf.root))
        asked = config.evaluation.model_copy(update={"weights": weights})
        config = config.model_copy(update={"evaluation": asked, "steps": trained.steps})
        label, after = f"evaluation of {composition.label}", [baseline.directory, trained.directory]
        return new_task(
            label,
            EVALUATION,
            directory,
            self.shelf.root,
            config,
            after=after,
            signature=sign,
            identity=identity,
            evaluations=evaluations,
            axes=composition.axes,
        )


def _cell_name(config: CellConfig) -> str:
    title = short_name(f"{config.model.name}-{config.reward.title}", LONGEST)
    return f"{title}-s{config.seed}"


def _unextendable(cells: Iterable[Task]) -> list[str]:
    """Return a message for each finished run whose target was raised and whose checkpoints are gone.

    Such a run would start over without a warning.
    """
    faults = []
    for cell in cells:
        run = RunDirectory(cell.directory)
        written = run.read_state()
        reached = written.steps
        if written.state == State.DONE and reached < cell.steps and not checkpoints(run.checkpoints):
            faults.append(
                f"{cell.label}: done to step {reached}, and its checkpoints were not kept; leave steps={reached}, or "
                f"delete {cell.directory} and launch with checkpoint=resumable to train it again, "
                f"to step {cell.steps}, and keep them"
            )
    return faults


def _is_done(task: Task) -> bool:
    return RunDirectory(task.directory).read_state().state == State.DONE


def _all_beyond(cells: Iterable[Task]) -> Iterator[str]:
    """Yield a line for each training that has gone further than the sweep asks for."""
    for cell in cells:
        reached = RunDirectory(cell.directory).read_state().step
        if cell.module == TRAIN and reached > cell.steps:
            yield _beyond(cell.label, reached, cell.steps)


def _beyond(label: str, reached: int, asked: int) -> str:
    return (
        f"{label}: is at step {reached} already, beyond steps={asked}: it is not trained further, and its results are "
        f"those of step {reached}"
    )


def _one(compositions: list[Composition], key: str, get: Callable[[CellConfig], Any]) -> Any:
    """Return the value of `key`, which all cells of a sweep must share."""
    values = []
    for composition in compositions:
        if (value := get(composition.config)) not in values:
            values.append(value)
    if len(values) > 1:
        raise UserError(f"{key}: one sweep has one {key}, not {', '.join(map(str, values))}")
    return values[0]


def _default_name(cells: list[Task]) -> str:
    """Return a name made from the cells, the same whenever the same sweep is typed again."""
    if len(cells) == 1:
        return cells[0].directory.name
    counts = [f"{len({c.axes[axis] for c in cells})}{axis}" for axis in SHOWN_AXES]
    digest = hashlib.sha256(" ".join(sorted(c.signature for c in cells)).encode()).hexdigest()[:6]
    return "-".join([*counts, digest])
