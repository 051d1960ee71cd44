"""Collect the results of a sweep's cells from their run directories."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sweep.run.directory import RunDirectory
from sweep.run.ledger import Entry, Sweep, read_sweep
from sweep.run.status import Status, sweep_statuses


@dataclass(frozen=True)
class CellResult:
    """A cell with its accuracies and code-reasoning shares in [0, 1]; None where not known yet."""

    model: str
    reward: str
    seed: int
    axes: dict[str, str]
    signature: str
    state: str
    step: int
    base_accuracy: float | None
    final_accuracy: float | None
    base_code: float | None
    final_code: float | None
    directory: str
    note: str

    @property
    def difference(self) -> float | None:
        if self.base_accuracy is None or self.final_accuracy is None:
            return None
        return self.final_accuracy - self.base_accuracy


@dataclass(frozen=True)
class Comparison:
    sweep: str
    root: Path
    cells: list[CellResult]


def collect(root: Path, name: str) -> Comparison:
    """Read the sweep `name` of the output directory `root`."""
    sweep = read_sweep(root, name)
    _, statuses = sweep_statuses(sweep)
    return Comparison(name, root, [_cell(sweep, e, s) for e, s in zip(sweep.cells, statuses, strict=True)])


def _cell(sweep: Sweep, entry: Entry, status: Status) -> CellResult:
    directory = sweep.directory(entry)
    final = RunDirectory(directory).read_result() or {}
    base = RunDirectory(sweep.root / entry.stages[0]).read_result() or {}
    return CellResult(
        model=entry.model,
        reward=entry.reward,
        seed=entry.seed,
        axes=entry.axes,
        signature=entry.signature,
        state=status.state,
        step=status.step,
        base_accuracy=base.get("accuracy"),
        final_accuracy=final.get("accuracy"),
        base_code=base.get("code"),
        final_code=final.get("code"),
        directory=str(directory),
        note=status.note,
    )
