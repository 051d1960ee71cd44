"""Say how long the tasks of a plan take: a few lines for each kind of task, and one for the sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sweep.config.faults import plural
from sweep.plan.expected import TaskTime
from sweep.plan.hours import Forecast
from sweep.plan.pace import FLOPS, HOST, MEMORY, Rates
from sweep.plan.task import TRAIN, Task
from sweep.plan.told_apart import shared_axes
from sweep.run.costs import duration
from sweep.shown import shown

SHOWN = 6  # kinds of trainings that get lines of their own
OF_A_STEP = ("sampling", "update", "optimizer", "links", "rest")
SAMPLED = ("sampling", "evaluation", "labels")  # parts whose time grows with the length of responses, as an update's
FEW = 0.005  # a smaller share of a step is left out


def time_lines(times: Sequence[TaskTime], cells: Sequence[Task]) -> Iterator[str]:
    """Yield the lines about the trainings, each kind once, and about the whole sweep.

    Args:
        cells: of the plan; what tells the kinds apart is what differs among these.
    """
    kinds: dict[str, list[TaskTime]] = {}
    for time in times:
        if time.task.module == TRAIN:
            kinds.setdefault(time.shape, []).append(time)
    for alike in list(kinds.values())[:SHOWN]:
        yield from _of_a_kind(alike, cells)
    if len(kinds) > SHOWN:
        yield f"time of {len(kinds) - SHOWN} more kinds of cells: --json has it"
    if times:
        yield _of_all(times)
    for time in times:
        if time.task.module != TRAIN and time.expected.unknown:
            yield f"  not in it, because unknown before the job: {', '.join(time.expected.unknown)} ({time.task.label})"


def times_json(times: Sequence[TaskTime]) -> dict:
    """Return the sums over all tasks, each rounded to a hundredth of an hour."""
    return {
        "hours": round(sum(time.hours for time in times), 2),
        "gpu_hours": round(sum(time.gpu_hours for time in times), 2),
    }


def _of_a_kind(alike: Sequence[TaskTime], cells: Sequence[Task]) -> Iterator[str]:
    first = alike[0]
    models = ", ".join(dict.fromkeys(time.task.config.model.name for time in alike))  # models may have one shape
    title = shown(" ".join([models, *shared_axes([time.task for time in alike], cells)]))
    of = f"each of {plural(len(alike), 'cell')}" if len(alike) > 1 else "the cell"
    said = f"time of {title}: {_step(first.predicted)} predicted, {_whole(first.predicted, first)} for {of}"
    yield f"{said}, on {first.rates.device}"
    if first.measured:
        steps = f"{plural(first.measured.steps, 'step')} of the same shape"
        taken = f"{_step(first.expected)} measured in {first.measured.run} ({steps})"
        yield f"  {taken}: {_whole(first.expected, first)} for {of}"
    yield f"  {_dominant(first)}"
    if first.expected.unknown:
        yield f"  not in it, because unknown before the job: {', '.join(first.expected.unknown)}"


def _step(forecast: Forecast) -> str:
    """Return the seconds of a step, and of its parts that count."""
    step = forecast.step
    if step is None or not forecast.steps:
        return ""
    parts = {name: part.seconds / forecast.steps for name, part in forecast.parts().items() if name in OF_A_STEP}
    named = [f"{name} {_seconds(value)}" for name, value in parts.items() if value > FEW * step.seconds]
    return f"{_seconds(step.seconds)} s a step ({', '.join(named)})"


def _whole(forecast: Forecast, time: TaskTime) -> str:
    held = f" ({_hours(forecast.seconds * time.gpus)} GPU-hours)" if time.gpus else ""
    return _duration(forecast.seconds) + held


def _dominant(time: TaskTime) -> str:
    """Return which part of a training takes most of its time, and which assumption that follows from."""
    parts = time.expected.parts()
    name, part = max(parts.items(), key=lambda named: named[1].seconds)
    share = f"{name} takes {100 * part.seconds / time.expected.seconds:.0f} % of it"
    if time.measured and name in OF_A_STEP:
        return f"{share}, as measured"
    return f"{share}, from {' and '.join(_assumptions(name, part.bound, time))}"


def _assumptions(name: str, bound: str, time: TaskTime) -> Iterator[str]:
    rates, config = time.rates, time.task.config
    if name in (*SAMPLED, "update"):
        yield _rate(rates, bound, rates.updating if name == "update" else rates.sampling, name)
        share, limit = config.resources.speed.mean_response_share, config.rollout.max_response_tokens
        yield f"responses of {share * limit:.0f} tokens on average (resources.speed.mean_response_share={share:g})"
    elif name == "start":
        yield f"{rates.start:g} s before the first step (resources.speed.start_seconds)"
    elif name == "checkpoints":
        yield f"{rates.disk / 1e9:g} GB/s to the disk (resources.speed.disk_gbs)"
    elif name == "links":
        yield f"{rates.link / 1e9:g} GB/s between processes (resources.speed.link_gbs)"
    else:
        yield f"{rates.bandwidth / 1e9:g} GB/s of memory bandwidth (resources.speed.bandwidth_gbs)"


def _rate(rates: Rates, bound: str, efficiency: float, name: str) -> str:
    if bound == HOST:
        layer = rates.update_layer if name == "update" else rates.layer
        return f"the host's {1e3 * layer:g} ms a layer and pass (resources.speed.layer_seconds)"
    key = "update_efficiency" if name == "update" else "sampling_efficiency"
    peaks = {MEMORY: f"{rates.bandwidth / 1e9:g} GB/s", FLOPS: f"{rates.flops / 1e12:g} TFLOP/s"}
    return f"{100 * efficiency:.0f} % of {peaks[bound]} (resources.speed.{key})"


def _of_all(times: Sequence[TaskTime]) -> str:
    trained = [time for time in times if time.task.module == TRAIN]
    others = [time for time in times if time.task.module != TRAIN]
    gpu_hours = sum(time.gpu_hours for time in times) * 3600
    held = f" and {_hours(gpu_hours)} GPU-hours" if gpu_hours else ""
    said = f"time of the sweep: {_duration(sum(time.hours for time in times) * 3600)} of jobs{held}"
    if not trained or not others:
        return said
    count = "training" if len(trained) == 1 else "trainings"
    shared = "1 other job" if len(others) == 1 else f"{len(others)} other jobs"
    taken = _duration(sum(time.hours for time in others) * 3600)
    return f"{said}, {taken} of it in {shared} beside {len(trained)} {count}"


def _duration(seconds: float) -> str:
    return f"{duration(seconds)} min" if seconds < 3600 else f"{_hours(seconds)} h"


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.0f}" if hours >= 100 else f"{hours:.1f}" if hours >= 1 else f"{hours:.2g}"


def _seconds(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
