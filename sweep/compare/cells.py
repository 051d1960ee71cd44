"""Read the records that a comparison is made of: run directories, the ledger, labels. Beside `over_steps`, no other
module here reads records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import compress
from pathlib import Path

from sweep.compare.metrics import Metric
from sweep.compare.results import CellResult, Comparison, Launch
from sweep.compare.rows import Point, in_rows, replaced
from sweep.errors import UserError
from sweep.run.costs import total
from sweep.run.directory import RunDirectory
from sweep.run.identity import differences, stale
from sweep.run.labels import Label, read_labels
from sweep.run.ledger import Entry, Sweep, read_launches, read_sweep
from sweep.run.series import last_row, listed, read_series
from sweep.run.state import State
from sweep.run.status import Status, read_status, sweep_statuses

ACCURATE = Metric()


def collect(root: Path, *names: str, metric: Metric = ACCURATE) -> Comparison:
    """Read the sweeps `names` of the output directory `root`; a cell of several of them is read once.

    Raises:
        UserError: there is no such sweep, or no cell has a value of the metric although some are done.
    """
    sweep = _joined([read_sweep(root, name) for name in dict.fromkeys(names)])
    of_stages, statuses = sweep_statuses(sweep)
    costs = [total(status.cost for status in part) for part in (of_stages, statuses)]
    read = [(entry, _cell(sweep, entry, status, metric)) for entry, status in zip(sweep.cells, statuses, strict=True)]
    _check_metric(sweep, [cell for _, cell in read], metric)
    found = _latest(sweep, read)
    cells, points = [cell for _, cell in found], [_point(sweep, entry, cell) for entry, cell in found]
    out = replaced(cells, points)
    kept = [not is_out for is_out in out]
    rows = in_rows([*compress(cells, kept)], [*compress(points, kept)])
    runs = [RunDirectory(cell.directory) for cell in rows]
    evaluations = {run.evaluation_signature: run.evaluation for run in runs if run.evaluation}
    launches = [Launch(name, *launch) for name in dict.fromkeys(names) for launch in read_launches(root, name)]
    return Comparison(
        sweeps=tuple(dict.fromkeys(names)),
        root=root,
        cells=rows,
        evaluations=evaluations,
        superseded=[*compress(cells, out)],
        metric=metric,
        launches=launches,
        cost=total(costs),
        cost_of_stages=costs[0],
    )


def _joined(sweeps: Sequence[Sweep]) -> Sweep:
    """The entries of all sweeps, each once; a training that one of them evaluates and another holds is its cell."""
    cells = {entry.signature: entry for sweep in sweeps for entry in sweep.cells}
    stages = {entry.signature: entry for sweep in sweeps for entry in sweep.stages if entry.signature not in cells}
    ordered = sorted(cells.values(), key=lambda entry: entry.steps == 0)
    return Sweep(" ".join(sweep.name for sweep in sweeps), sweeps[0].root, list(stages.values()), ordered)


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


def _cell(sweep: Sweep, entry: Entry, status: Status, metric: Metric) -> CellResult:
    run, baseline = RunDirectory(sweep.directory(entry)), RunDirectory(sweep.root / entry.stages[0])
    final, base = run.read_result() or {}, baseline.read_result() or {}
    trained = _trained(sweep, entry)
    asked = entry.steps or (run.identity or {}).get("steps", 0)
    value = _value(RunDirectory(sweep.root / entry.training), run, final, metric)
    length = (status.step if status.state == State.DONE else 0) or final.get("step") or asked
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
        length=length if metric.step is None or value is None else metric.step,
        base=base.get(metric.key) if metric.of_evaluation else None,
        final=value,
        answers=_answers(final) or _answers(base),
        made=_made(RunDirectory(sweep.root / entry.training)),
        training=str(sweep.root / entry.training),
        cost=status.cost,
    )


def _value(training: RunDirectory, run: RunDirectory, result: dict, metric: Metric) -> float | None:
    """The metric at the end of a training or at the step that is asked for; None where it has none.

    Args:
        run: the run that the cell shows, which is its training or an evaluation of what that left.
        result: what the run wrote at its end.
    """
    if metric.of_evaluation and metric.step is None:
        return result.get(metric.key)
    if metric.step is None:
        return last_row(training.metrics).get(metric.name) if result else None
    found = read_series(training.metrics, [metric.name, "evaluation"])
    if metric.of_evaluation and found["evaluation"].get(metric.step) != run.evaluation_signature:
        return None  # of another evaluation than the cell's
    return found[metric.name].get(metric.step)


def _answers(result: dict) -> int | None:
    """The graded answers of an evaluation's result."""
    problems, samples = result.get("problems"), result.get("samples_per_problem")
    return problems * samples if problems and samples else None


def _made(training: RunDirectory) -> dict[str, str]:
    """What the latest attempt of a training ran with, as far as it is recorded."""
    facts = training.read_provenance()
    weights = facts.get("model") or {}
    processor = ", ".join(sorted(set(facts.get("gpus") or []))) or facts.get("processor")
    found = {"code": facts.get("code"), "weights": weights.get("content"), "processor": processor}
    return {name: value for name, value in found.items() if value}


def _check_metric(sweep: Sweep, cells: Sequence[CellResult], metric: Metric) -> None:
    """Refuse a metric that is no number, and a metric, or a step, that no cell has a value of, with what there is."""
    values = [value for cell in cells for value in (cell.base, cell.final) if value is not None]
    if text := next((value for value in values if not isinstance(value, int | float)), None):
        raise UserError(f"--metric {metric.name}: no number, but {json.dumps(text)}")
    if metric == ACCURATE or any(cell.final is not None for cell in cells):
        return
    files = [RunDirectory(sweep.root / entry.training).metrics for entry in sweep.cells]
    with_it = {step for file in files for step in read_series(file, [metric.name])[metric.name]}
    names = sorted({name for file in files for name in last_row(file) if "/" in name})
    if metric.name in names and not with_it:
        raise UserError(
            f"--metric {metric.name}: empty at every step of every cell, as nothing was there to compute it from; "
            "docs/metrics.md says what it needs"
        )
    if names and not with_it:
        close = get_close_matches(metric.name, names, 3)
        hint = f"; did you mean {' or '.join(close)}?" if close else f"; there are: {', '.join(names)}"
        raise UserError(f"--metric {metric.name}: no cell has such a metric{hint}")
    if with_it and metric.step is not None:
        raise UserError(
            f"--at-step {metric.step}: no cell has {metric.name} of that step; there are the steps {listed(with_it)}"
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
