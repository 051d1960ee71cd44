"""A unit of work of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from sweep.config.cell import CellConfig
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry

# By name: dispatch never imports what a job runs.
BASELINE, LABEL, TRAIN = "sweep.stages.baseline", "sweep.stages.label", "sweep.stages.train"
EVALUATION = "sweep.stages.evaluation"


@dataclass(frozen=True)
class Task:
    """A stage, or a cell (a training, or an evaluation of what was trained), with everything that its job reads.

    entry: what the ledger lists of it. root: the output directory. identity: what its signature is the hash of.
    evaluations: the identity of the evaluation by each benchmark that it carries out, by the benchmark's name.
    """

    entry: Entry
    root: Path
    config: CellConfig
    identity: dict
    evaluations: dict[str, dict] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name that tables show."""
        return self.entry.label

    @property
    def module(self) -> str:
        """The module that its job runs."""
        return self.entry.module

    @property
    def signature(self) -> str:
        """The hash of its identity."""
        return self.entry.signature

    @property
    def axes(self) -> Mapping[str, str]:
        """The values of the axes; empty for a baseline and for labels."""
        return self.entry.axes

    @property
    def steps(self) -> int:
        """The target of a training; 0 for all other tasks."""
        return self.entry.steps

    @cached_property
    def directory(self) -> Path:
        """The run's directory."""
        return self.root / self.entry.directory

    @cached_property
    def after(self) -> tuple[Path, ...]:
        """The directories of the runs that it waits for."""
        return tuple(self.root / stage for stage in self.entry.stages)

    def called(self, label: str) -> Task:
        """Return the same task under another label."""
        return replace(self, entry=replace(self.entry, label=label))

    def with_config(self, config: CellConfig) -> Task:
        """Return the same run with another configuration, whose number of steps becomes the target."""
        return replace(self, entry=replace(self.entry, steps=_target(self.module, config)), config=config)

    def freeze(self, sweep: str) -> None:
        """Write what the next attempt at the task reads, under the name of the sweep that launches it."""
        config = self.config.model_copy(update={"name": sweep})
        RunDirectory(self.directory).freeze(config, self.signature, self.identity, self.evaluations)


def new_task(
    label: str,
    module: str,
    directory: Path,
    root: Path,
    config: CellConfig,
    *,
    signature: str,
    identity: dict,
    axes: dict[str, str],
    after: Sequence[Path] = (),
    evaluations: dict[str, dict] | None = None,
) -> Task:
    """Return a task with its entry; `directory` and `after` lie in the output directory `root`.

    See `Entry` and `Task` for what the values are.
    """
    entry = Entry(
        label=label,
        module=module,
        axes=axes,
        model=config.model.name,
        reward=config.reward.title,
        seed=config.seed,
        signature=signature,
        steps=_target(module, config),
        directory=str(directory.relative_to(root)),
        stages=[str(stage.relative_to(root)) for stage in after],
    )
    return Task(entry, root, config, identity, evaluations or {})


def _target(module: str, config: CellConfig) -> int:
    return config.steps if module == TRAIN else 0
