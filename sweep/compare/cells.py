"""Collect the results of a sweep's cells from their run directories."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from sweep.run.directory import RunDirectory
from sweep.run.identity import differences, flat, signature, stale
from sweep.run.ledger import Entry, Sweep, read_sweep
from sweep.run.status import Status, sweep_statuses

LONGEST_VALUE = 40  # characters of a value in a table; a custom reward's whole source is one


@dataclass(frozen=True)
class CellResult:
    """A cell with its accuracies and code-reasoning shares in [0, 1]; None where not known yet.

    `evaluation`: the signature of the evaluation that the final numbers come from. `rules`: the numbers of the rules
    that its training read; None where they are not known. `unlike`: why base and final must not be subtracted; "" where
    they may be. `older`: how the version of the code that trained or evaluated it differs from this one; "" where it
    does not.
    """

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
    evaluation: str | None = None
    rules: dict[str, int] | None = field(default_factory=dict)
    unlike: str = ""
    older: str = ""

    @property
    def difference(self) -> float | None:
        if self.base_accuracy is None or self.final_accuracy is None or self.unlike:
            return None
        return self.final_accuracy - self.base_accuracy


@dataclass(frozen=True)
class Comparison:
    """The results of a sweep; `evaluations`: the identity of each evaluation that they come from, by signature."""

    sweep: str
    root: Path
    cells: list[CellResult]
    evaluations: dict[str, dict] = field(default_factory=dict)


def collect(root: Path, name: str) -> Comparison:
    """Read the sweep `name` of the output directory `root`."""
    sweep = read_sweep(root, name)
    _, statuses = sweep_statuses(sweep)
    cells = _latest(sweep, [(e, _cell(sweep, e, s)) for e, s in zip(sweep.cells, statuses, strict=True)])
    cells = _told_apart(cells, {e.signature: _trained(sweep, e) for e in sweep.cells})
    runs = [RunDirectory(cell.directory) for cell in cells]
    evaluations = {run.evaluation_signature: run.evaluation for run in runs if run.evaluation}
    return Comparison(name, root, cells, evaluations)


def _latest(sweep: Sweep, cells: list[tuple[Entry, CellResult]]) -> list[CellResult]:
    """One cell for each training and evaluation: the one whose result counts, and of several the one of most steps.

    A training that went on after it had been evaluated is evaluated again by the next launch. The earlier result stays
    in the ledger, and counted beside the later one it would be taken for another seed.
    """
    found: dict[tuple, tuple[tuple[bool, int], CellResult]] = {}
    for entry, cell in cells:
        wanted = RunDirectory(sweep.root / entry.stages[0]).evaluation_signature
        asked = entry.steps or (RunDirectory(cell.directory).identity or {}).get("steps", 0)
        key, rank = (entry.training, *sorted(entry.axes.items()), wanted), (not cell.unlike, asked)
        if key not in found or rank > found[key][0]:
            found[key] = rank, cell
    return [cell for _, cell in found.values()]


def _trained(sweep: Sweep, entry: Entry) -> dict:
    """The identity of the training that a cell shows the results of; {} where it was never frozen."""
    return RunDirectory(sweep.root / entry.training).identity or {}


def _told_apart(cells: list[CellResult], trained: dict[str, dict]) -> list[CellResult]:
    """The cells with an axis for each key in which cells of the same axes were trained differently.

    A key that two launches of one sweep typed with a value each is an axis of neither. Long values are shown hashed.

    Args:
        trained: the identity of each cell's training by the cell's signature.
    """
    alike: dict[tuple, list[CellResult]] = {}
    for cell in cells:
        axes = sorted(item for item in cell.axes.items() if item[0] != "seed")
        alike.setdefault((*axes, trained[cell.signature].get("schema")), []).append(cell)
    added: dict[str, dict[str, str]] = {}
    for group in alike.values():
        values = {cell.signature: flat(trained[cell.signature]) for cell in group}
        keys = {key for of_cell in values.values() for key in of_cell if key != "seed" and not key.startswith("rules.")}
        varied = [key for key in sorted(keys) if len({str(of_cell.get(key)) for of_cell in values.values()}) > 1]
        added |= {sign: {key: _short(of_cell.get(key, "")) for key in varied} for sign, of_cell in values.items()}
    return [replace(cell, axes=cell.axes | added[cell.signature]) for cell in cells]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"#{signature({'value': text})}"


def _cell(sweep: Sweep, entry: Entry, status: Status) -> CellResult:
    run, baseline = RunDirectory(sweep.directory(entry)), RunDirectory(sweep.root / entry.stages[0])
    final, base = run.read_result() or {}, baseline.read_result() or {}
    trained = _trained(sweep, entry)
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
