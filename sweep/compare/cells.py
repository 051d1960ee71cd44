"""Read the records that a comparison is made of: run directories, the ledger, labels. No other module here does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

from sweep.compare.results import CellResult, Comparison
from sweep.compare.rows import Point, in_rows, replaced
from sweep.run.directory import RunDirectory
from sweep.run.identity import differences, stale
from sweep.run.labels import Label, read_labels
from sweep.run.ledger import Entry, Sweep, read_sweep
from sweep.run.state import State
from sweep.run.status import Status, read_status, sweep_statuses


def collect(root: Path, name: str) -> Comparison:
    """Read the sweep `name` of the output directory `root`."""
    sweep = read_sweep(root, name)
    _, statuses = sweep_statuses(sweep)
    found = _latest(sweep, [(e, _cell(sweep, e, s)) for e, s in zip(sweep.cells, statuses, strict=True)])
    cells, points = [cell for _, cell in found], [_point(sweep, entry, cell) for entry, cell in found]
    out = replaced(cells, points)
    kept = [not is_out for is_out in out]
    rows = in_rows([*compress(cells, kept)], [*compress(points, kept)])
    runs = [RunDirectory(cell.directory) for cell in rows]
    evaluations = {run.evaluation_signature: run.evaluation for run in runs if run.evaluation}
    return Comparison(name, root, rows, evaluations, [*compress(cells, out)])


def _latest(sweep: Sweep, cells: list[tuple[Entry, CellResult]]) -> list[tuple[Entry, CellResult]]:
    """One cell for each training and evaluation: the one whose result counts, and of several the one of most steps.

    A training that went on after it had been evaluated is evaluated again by the next launch. The earlier result stays
    in the ledger: beside the later one it would be taken for another seed.
    """
    found: dict[tuple, tuple[tuple[bool, int], Entry, CellResult]] = {}
    for entry, cell in cells:
        key = entry.training, RunDirectory(sweep.root / entry.stages[0]).evaluation_signature
        rank = (not cell.unlike, cell.asked)
        if key not in found or rank > found[key][0]:
            found[key] = rank, entry, cell
    return [(entry, cell) for _, entry, cell in found.values()]


def _trained(sweep: Sweep, entry: Entry) -> dict:
    """The identity of the training that a cell shows the results of; {} where it was never frozen."""
    return RunDirectory(sweep.root / entry.training).identity or {}


def _point(sweep: Sweep, entry: Entry, cell: CellResult) -> Point:
    run, baseline = RunDirectory(cell.directory), RunDirectory(sweep.root / entry.stages[0])
    evaluated = run.evaluation or baseline.evaluation or {}
    if cell.evaluation not in (None, run.evaluation_signature):  # its numbers are of another than it is to have
        evaluated = {"signature": cell.evaluation}
    return Point(_trained(sweep, entry), evaluated, entry.axes, cell.length)


def _cell(sweep: Sweep, entry: Entry, status: Status) -> CellResult:
    run, baseline = RunDirectory(sweep.directory(entry)), RunDirectory(sweep.root / entry.stages[0])
    final, base = run.read_result() or {}, baseline.read_result() or {}
    trained = _trained(sweep, entry)
    asked = entry.steps or (run.identity or {}).get("steps", 0)
    return CellResult(
        model=entry.model,
        reward=entry.reward,
        seed=entry.seed,
        axes=entry.axes,
        signature=entry.signature,
        state=status.state,
        step=status.step or final.get("step", 0),
        base_accuracy=base.get("accuracy"),
        final_accuracy=final.get("accuracy"),
        base_code=base.get("code"),
        final_code=final.get("code"),
        directory=str(run.path),
        note=status.note,
        evaluation=final.get("evaluation", base.get("evaluation")),
        rules=trained.get("rules", {}) if "schema" in trained and trained["schema"] > 1 else None,
        unlike=_unlike(run, baseline) if final and base else "",
        older=stale(trained) or (run.evaluation and stale(run.evaluation)) or "",
        asked=asked,
        length=(status.step if status.state == State.DONE else 0) or final.get("step") or asked,
    )


def _unlike(run: RunDirectory, baseline: RunDirectory) -> str:
    """What keeps the results of `run` and its baseline from being subtracted; "" where nothing does."""
    final, base = (r.read_result().get("evaluation") for r in (run, baseline))
    if final == base:
        return ""
    how = f"evaluation {final or 'of an older version'} and {base or 'of an older version'}"
    if run.evaluation_signature == final and run.evaluation and baseline.evaluation:
        how = "; ".join(differences(run.evaluation, baseline.evaluation))
    return f"final and base were not evaluated alike ({how}); launch the sweep again to evaluate the final weights"


@dataclass(frozen=True)
class LabelStage:
    """The label stage of a model, all its shards together; `state`: done, or that of a shard that is not."""

    model: str
    state: str
    shards: tuple[Path, ...]

    def labels(self, vote: str) -> Sequence[Label]:
        """Its labels by one way of voting."""
        return list(read_labels(self.shards, vote))


def label_stages(root: Path, name: str) -> list[LabelStage]:
    """Every label stage that a cell of the sweep was trained with."""
    sweep = read_sweep(root, name)
    needs = {run.directory: run.stages for run in (*sweep.stages, *sweep.cells)}
    trained = {(e.model, e.training) for e in sweep.cells}  # a cell that only evaluates waits for no labels itself
    stages = {(m, tuple(s for s in needs.get(t, ()) if RunDirectory(s).name.startswith("labels-"))) for m, t in trained}
    return [_label_stage(model, [root / s for s in shards]) for model, shards in sorted(stages) if shards]


def _label_stage(model: str, shards: Sequence[Path]) -> LabelStage:
    states = [read_status(shard.name, shard, 0).state for shard in shards]
    return LabelStage(model, next((s for s in states if s != State.DONE), State.DONE), tuple(shards))
