"""A unit of work of a plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sweep.config.cell import CellConfig

# By name: dispatch never imports what a job runs.
BASELINE, LABEL, TRAIN = "sweep.stages.baseline", "sweep.stages.label", "sweep.stages.train"
EVALUATION = "sweep.stages.evaluation"


@dataclass(frozen=True)
class Task:
    """A stage, or a cell (its training, or an evaluation of what it was trained to), with a directory of its own.

    `evaluation` is the identity of the evaluation that it carries out; {} where it carries out none.
    """

    label: str
    module: str
    signature: str
    identity: dict
    directory: Path
    config: CellConfig
    axes: dict[str, str]
    after: tuple[Path, ...] = ()
    evaluation: dict = field(default_factory=dict)

    @property
    def steps(self) -> int:
        return self.config.steps if self.module == TRAIN else 0
