"""The record that identifies a cell or a stage. Pure: this module reads no file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """A cell of a sweep, or a stage (with 0 steps). It is the same record from the plan to the comparison.

    The plan makes it, and the ledger stores it. A task holds it with the configuration, a status with the state, and a
    result of the comparison with the numbers.

    label: its name in tables and messages. module: the module that its job runs. axes: its point of the cross product;
    {} for a stage. model, reward, seed: those of its configuration. signature: identifies the run. steps: the target of
    a training.
    directory: the run's, relative to the output directory. stages: the directories of the runs that it waits for; a
    cell's baseline is the first. A cell with 0 steps evaluates the final weights of a training, which is its second
    stage.
    """

    label: str
    module: str
    axes: dict[str, str]
    model: str
    reward: str
    seed: int
    signature: str
    steps: int
    directory: str
    stages: list[str]

    @property
    def run(self) -> str:
        """The name of the run's directory; two runs may have one label."""
        return Path(self.directory).name

    @property
    def training(self) -> str:
        """The directory of the training whose results a cell shows."""
        return self.directory if self.steps else self.stages[1]
