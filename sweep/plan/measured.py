"""Find runs that were measured and have the shape of a planned cell, and what their steps took."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

from models.architecture import read_architecture
from sweep.config.cell import CellConfig
from sweep.config.devices import gpu_kind
from sweep.errors import UserError
from sweep.plan.machine import cores
from sweep.plan.pace import Rates
from sweep.plan.rates import takes_vllm
from sweep.run.costs import Spent
from sweep.run.directory import CELLS, RunDirectory
from sweep.run.provenance import environment
from sweep.run.series import Series, read_series
from sweep.run.state import RunState

LOOKED_AT = 8  # runs of a model, the newest ones: reading all runs of a large output directory would take minutes
FEWEST_STEPS = 2
STEP, ROLLOUT, UPDATE, EVALUATION = "timing_s/step", "timing_s/rollout", "timing_s/update", "timing_s/evaluation"
AT_FIRST = ("first rollout", "first update")  # the parts of a start that belong to its first step


@dataclass(frozen=True)
class Measured:
    """What a run of the same shape took, in seconds.

    run: its directory's name. steps: how many were measured; the medians of these are step, rollout and update.
    evaluated: the steps after which it was evaluated, with the seconds of each. config: its own. start: of its job
    before the first step, and save: of its slowest checkpoint; None where it recorded none.
    """

    run: str
    steps: int
    step: float
    rollout: float
    update: float
    evaluated: Series
    config: CellConfig
    start: float | None
    save: float | None


def shape_of(config: CellConfig) -> str:
    """Return what the time of a training step follows from, as text: equal texts are cells of the same shape.

    Not in it are steps, seed, reward, labels, evaluation and what else leaves the size of the work alone; also not the
    hardware, which `of_same_hardware` compares.
    """
    model, shape = config.model, read_architecture(config.model)
    found = {
        "model": [model.family, shape.model_dump() if shape else model.path, model.dtype],
        "tuning": config.tuning.model_dump(),
        "prompt": config.prompt.model_dump(exclude={"name"}),
        "data": config.data.model_dump(mode="json", exclude={"name"}),
        "algorithm": config.algorithm.model_dump(exclude={"name"}),
        "rollout": config.rollout.model_dump(),
        "deepspeed": config.deepspeed.model_dump(exclude={"processes"}),
        "processes": [config.processes, config.resources.gpus],
    }
    return json.dumps(found, sort_keys=True, default=str)


def of_same_hardware(recorded: dict, spent: Sequence[Spent], config: CellConfig, rates: Rates) -> bool:
    """Return whether a run's recorded machine is like the one that a cell is planned for, as far as both are known.

    Args:
        recorded: the provenance of the run.
        spent: what its attempts cost, with the GPUs that they held.
        rates: of the planned cell.
    """
    if any((attempt.gpus > 0) != (rates.kind is not None) for attempt in spent):
        return False  # a cell that asks for GPUs runs on the CPU where there are none
    if config.cluster.runs_here and recorded.get("engine") not in (None, _engine(config, rates)):
        return False  # vLLM was installed or removed since
    if rates.kind:
        kinds = {gpu_kind(name) for name in recorded.get("gpus") or ()} - {None}
        return rates.assumed or not kinds or rates.kind in kinds
    if not config.cluster.runs_here:
        return True
    threads = min(recorded.get("threads") or rates.cores, cores())  # more threads than cores share these
    return recorded.get("processor") == environment()["processor"] and threads == rates.cores


def _engine(config: CellConfig, rates: Rates) -> str:
    """Return the engine with which a cell samples on this machine."""
    if config.rollout.name != "auto":
        return config.rollout.name
    return "vllm" if rates.kind and takes_vllm(config) else "transformers"


class Measurements:
    """The measured runs of an output directory; each is read once, and only if a planned cell may be like it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[Path, _Known | None] = {}

    def of(self, config: CellConfig, own: Iterable[Path], rates: Rates) -> Measured | None:
        """Return the measurement that fits a cell: of the newest run of its shape; None if there is none.

        Args:
            own: directories of planned cells of this shape, which are looked at first.
            rates: of the planned cell.
        """
        shape = shape_of(config)
        begun = sorted((path for path in own if _written(path)), key=_written, reverse=True)
        newest = self._newest.get(config.model.name, [])
        for path in dict.fromkeys([*begun[:LOOKED_AT], *newest]):
            found = self._known(path)
            if found is None or found.shape != shape:
                continue
            if not of_same_hardware(found.provenance, found.state.spent, config, rates):
                continue
            if measured := _measured(found):
                return measured
        return None

    @cached_property
    def _newest(self) -> dict[str, list[Path]]:
        """The newest runs with metrics by the name of their model, which their directories' names begin with."""
        found: dict[str, list[Path]] = {}
        cells = (self._root / CELLS).glob("*-*")
        for path in sorted(filter(_written, cells), key=_written, reverse=True):
            runs = found.setdefault(path.name.partition("-")[0], [])
            if len(runs) < LOOKED_AT:
                runs.append(path)
        return found

    def _known(self, path: Path) -> _Known | None:
        """Return what a run recorded; None if this version cannot read it."""
        if path not in self._read:
            run = RunDirectory(path)
            try:
                config = run.read_config()
                found = _Known(run, shape_of(config), config, run.read_provenance(), run.read_state())
            except (ValueError, UserError, OSError):
                found = None
            self._read[path] = found
        return self._read[path]


@dataclass(frozen=True)
class _Known:
    """What a run recorded, beside its metrics."""

    run: RunDirectory
    shape: str
    config: CellConfig
    provenance: dict
    state: RunState


def _written(path: Path) -> float:
    """Return when a run's metrics were last written, in seconds since 1970; 0 if it has none."""
    file = RunDirectory(path).metrics
    return file.stat().st_mtime if file.exists() else 0.0


def _measured(known: _Known) -> Measured | None:
    """Return what a run took; None if it has too few steps, or its metrics are damaged, which `compare` reports."""
    try:
        series = read_series(known.run.metrics, (STEP, ROLLOUT, UPDATE, EVALUATION))
    except UserError:
        return None
    if len(series[STEP]) < FEWEST_STEPS:
        return None
    parts = known.provenance.get("start") or {}
    return Measured(
        run=known.run.path.name,
        steps=len(series[STEP]),
        step=_usual(series[STEP]),
        rollout=_usual(series[ROLLOUT]),
        update=_usual(series[UPDATE]),
        evaluated=series[EVALUATION],
        config=known.config,
        start=sum(seconds for part, seconds in parts.items() if part not in AT_FIRST) if parts else None,
        save=known.state.save_seconds,
    )


def _usual(seconds: Series) -> float:
    """Return the median over the steps after the first one, which warms up."""
    values: Sequence[float] = [seconds[step] for step in sorted(seconds)]
    return median(values[1:] or values) if values else 0.0
