"""The time that every task of a plan is expected to take: predicted, and from measured runs of its shape where there
are any.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.architecture import read_architecture
from sweep.config.cell import SlurmCluster
from sweep.plan import machine
from sweep.plan.hours import (
    Forecast,
    Step,
    evaluation_seconds,
    grace,
    jobs_needed,
    predict_evaluation,
    predict_labels,
    predict_step,
    predict_training,
    save_seconds,
)
from sweep.plan.measured import Measured, Measurements, shape_of
from sweep.plan.pace import Rates
from sweep.plan.rates import rates
from sweep.plan.task import LABEL, TRAIN, Task

DIGITS = 4  # of numbers in `plan --json`


@dataclass(frozen=True)
class TaskTime:
    """The time of a task.

    predicted: from stated rates alone. expected: with what `measured` says, a run of the same shape; the same as
    `predicted` if there is none. rates: what the prediction is made from. shape: equal for tasks of the same time.
    """

    task: Task
    shape: str
    rates: Rates
    predicted: Forecast
    expected: Forecast
    measured: Measured | None

    @property
    def hours(self) -> float:
        """Of its jobs together, if none is interrupted."""
        return self.expected.seconds / 3600

    @property
    def gpus(self) -> int:
        """The GPUs that it holds; 0 where it runs on a machine that has none."""
        return self.task.config.resources.gpus if self.rates.kind else 0

    @property
    def gpu_hours(self) -> float:
        """The hours times the GPUs."""
        return self.hours * self.gpus

    @property
    def jobs(self) -> int | None:
        """How many jobs it takes on Slurm; None if it gets nowhere in any of them."""
        config, step = self.task.config, self.expected.step.seconds if self.expected.step else 0.0
        return jobs_needed(self.expected.seconds, step, self.expected.start, config.resources.hours, grace(config))

    def as_json(self) -> dict:
        """Return it for `plan --json`, in seconds and hours."""
        made = self.measured and {"run": self.measured.run, "steps": self.measured.steps, **_json(self.expected)}
        return {
            "device": self.rates.device,
            "predicted": _json(self.predicted),
            "measured": made,
            "hours": _short(self.hours),
            "gpu_hours": _short(self.gpu_hours),
        }


def task_times(tasks: Sequence[Task], root: Path) -> list[TaskTime]:
    """Return the time of every task whose model's shape is known, in order; equal tasks are computed once.

    Args:
        root: the output directory, whose earlier runs are measurements.
    """
    if not tasks:
        return []
    cores, here = _cores(tasks), next((gpu.name for gpu in machine.gpus()), None)
    measurements, keys = Measurements(root), [_key(task) for task in tasks]
    own: dict[str, list[Path]] = defaultdict(list)
    for task, (shape, _) in zip(tasks, keys, strict=True):
        if task.module == TRAIN:
            own[shape].append(task.directory)
    measured: dict[str, Measured | None] = {}
    found: dict[str, TaskTime | None] = {}
    for task, (shape, key) in zip(tasks, keys, strict=True):
        if key in found:
            continue
        rate = rates(task.config, cores, here)
        if shape not in measured:
            measured[shape] = measurements.of(task.config, own[shape], rate)
        predicted = _predicted(task, rate)
        found[key] = _with_measured(task, key, rate, predicted, measured[shape]) if predicted else None
    times = [(found[key], task) for task, (_, key) in zip(tasks, keys, strict=True)]
    return [replace(time, task=task) for time, task in times if time]


def too_long(times: Sequence[TaskTime]) -> list[str]:
    """Return a note for each kind of task on Slurm that cannot end in the hours of one job."""
    groups: dict[tuple[str, int | None], list[TaskTime]] = defaultdict(list)
    for time in times:
        if isinstance(time.task.config.cluster, SlurmCluster) and time.jobs != 1:
            groups[time.shape, time.jobs].append(time)
    return [_too_long(alike, jobs) for (_, jobs), alike in groups.items()]


def _too_long(alike: Sequence[TaskTime], jobs: int | None) -> str:
    first = alike[0]
    more = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
    needed, given = first.expected.seconds / 3600, first.task.config.resources.hours
    source = f"as {first.measured.run} did" if first.measured else "by prediction"
    shown = f"{needed:.0f}" if needed >= 10 and round(needed) > given else f"{needed:.3g}"
    said = f"{first.task.label}{more}: needs some {shown} h, {source}, and its job gets {given:g} h"
    if jobs is None:
        return f"{said}, in which not even a step ends: it never gets further; raise resources.hours"
    again = "once" if jobs == 2 else "twice" if jobs == 3 else f"{jobs - 1} times"
    one = f"resources.hours={math.ceil(1.1 * needed)} makes it one"
    return f"{said}: Slurm queues it again {again} ({jobs} jobs); {one}{_told_too_late(first)}"


def _told_too_late(time: TaskTime) -> str:
    """Return what a job loses that is told to stop too late for a step and a checkpoint; "" if it loses nothing."""
    config, step = time.task.config, time.expected.step
    needed = step.seconds + save_seconds(config, time.rates) if step else 0.0
    if needed <= grace(config):
        return ""
    return (
        f"; told to stop {grace(config):g} s before its end, a job has no time for a step and a checkpoint (some "
        f"{needed:.0f} s) and loses up to {config.checkpoint.every} steps: cluster.signal_seconds="
        f"{60 * math.ceil(1.5 * needed / 60)} leaves it that"
    )


def _cores(tasks: Sequence[Task]) -> int:
    """Return the cores of each process of a plan's jobs."""
    cluster = tasks[0].config.cluster
    if isinstance(cluster, SlurmCluster):
        return cluster.cpus_per_process
    trained = [task.config for task in tasks if task.module == TRAIN] or [task.config for task in tasks]
    return min(machine.threads_of_a_process(trained, cluster), machine.cores())


def _key(task: Task) -> tuple[str, str]:
    """Return what the time of a task's step follows from, and what its whole time follows from."""
    config, shape = task.config, shape_of(task.config)
    whole = {
        "module": task.module,
        "shape": shape,
        "evaluation": config.evaluation.model_dump(mode="json", exclude={"weights"}),
        "steps": task.steps,
        "checkpoint": config.checkpoint.model_dump(),
        "labels": config.labels.model_dump(exclude={"shard", "directories"}) if task.module == LABEL else None,
        "resources": config.resources.model_dump(),
    }
    return shape, json.dumps(whole, sort_keys=True)


def _predicted(task: Task, rate: Rates) -> Forecast | None:
    if task.module == TRAIN:
        return predict_training(task.config, rate)
    return predict_labels(task.config, rate) if task.module == LABEL else predict_evaluation(task.config, rate)


def _with_measured(task: Task, key: str, rate: Rates, predicted: Forecast, measured: Measured | None) -> TaskTime:
    if measured is None:
        return TaskTime(task, key, rate, predicted, predicted, None)
    step = predicted.step and Step(
        sampling=replace(predicted.step.sampling, seconds=measured.rollout),
        update=replace(predicted.step.update, seconds=measured.update),
        rest=max(0.0, measured.step - measured.rollout - measured.update),
    )
    saved = save_seconds(task.config, rate)
    # The run is compared with what the cell's own assumptions predict of it, so that these have no part in the result.
    run = replace(measured, config=measured.config.model_copy(update={"resources": task.config.resources}))
    expected = replace(
        predicted,
        start=predicted.start if measured.start is None else measured.start,
        step=step,
        evaluations=predicted.evaluations * evaluation_factor(run, rate),
        labels=predicted.labels * sampling_factor(run, rate),
        saves=predicted.saves * (measured.save / saved if measured.save and saved else 1.0),
    )
    return TaskTime(task, key, rate, predicted, expected, measured)


def evaluation_factor(measured: Measured, rate: Rates) -> float:
    """Return how many times as long as predicted a run's evaluations took; 1 if it had none, or unknown ones."""
    predicted = sum(evaluation_seconds(measured.config, step, rate) for step in measured.evaluated)
    taken = sum(measured.evaluated.values())
    return taken / predicted if predicted and taken else 1.0


def sampling_factor(measured: Measured, rate: Rates) -> float:
    """Return how many times as long as predicted a run's rollouts took; 1 if its model's shape is not known."""
    shape = read_architecture(measured.config.model)
    return measured.rollout / predict_step(measured.config, shape, rate).sampling.seconds if shape else 1.0


def _json(forecast: Forecast) -> dict:
    parts = {name: _short(part.seconds) for name, part in forecast.parts().items() if part.seconds}
    step = forecast.step and _short(forecast.step.seconds)
    return {"step_seconds": step, "seconds": _short(forecast.seconds), "parts": parts, "unknown": [*forecast.unknown]}


def _short(number: float) -> float:
    """Return a number with as many digits as a prediction is worth."""
    return float(f"{number:.{DIGITS}g}")
