"""Read the records that a comparison is made of: run directories, the ledger, labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import compress
from pathlib import Path

from sweep.compare.kept import KeptAnswers
from sweep.compare.metrics import ACCURACY, Metric
from sweep.compare.results import ENDS, CellResult, Comparison, Launch
from sweep.compare.rows import Point, in_rows, replaced
from sweep.compare.sides import Sides, all_sides, number_at_step
from sweep.errors import UserError
from sweep.program import program
from sweep.run.costs import total
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.run.identity import signature, stale
from sweep.run.labels import Label, read_labels
from sweep.run.ledger import Sweep, read_launches, read_sweep
from sweep.run.series import last_row, listed, read_series
from sweep.run.state import State
from sweep.run.status import Status, read_state, sweep_statuses
from sweep.score.evaluation import is_number

ACCURATE = Metric()


def collect(root: Path, *names: str, metric: Metric = ACCURATE) -> Comparison:
    """Read the sweeps `names` of the output directory `root`. A cell that several of them list is read once.

    Raises:
        UserError: there is no such sweep; or no cell has a value of the metric although some are done; or no cell was
            put to the metric's benchmark.
    """
    sweep = _joined([read_sweep(root, name) for name in dict.fromkeys(names)])
    of_stages, statuses = sweep_statuses(sweep)
    costs = [total(status.cost for status in part) for part in (of_stages, statuses)]
    answers = KeptAnswers(root)
    sides = all_sides(sweep, metric, answers)
    read = [_cell(sweep, status, sides[status.entry.directory], metric, answers) for status in statuses]
    _check_metric(sweep, read, metric)
    cells = _latest(sweep, read, metric)
    points = [_point(sweep, cell, sides[cell.entry.directory]) for cell in cells]
    out = replaced(cells, points)
    kept = [not is_out for is_out in out]
    rows = in_rows([*compress(cells, kept)], [*compress(points, kept)])
    evaluations = _evaluations(rows, sides, metric)
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
        made=[f"{cell.entry.label}: {said}" for cell in rows for said in sides[cell.entry.directory].made],
    )


def _joined(sweeps: Sequence[Sweep]) -> Sweep:
    """Return one sweep with the entries of all, each once.

    If one sweep evaluates a training that another one lists as its cell, the training is a cell and not a stage. What
    `evaluate` brought waits for nothing, and is a stage: its numbers belong to the cells whose weights it evaluated.
    """
    listed = [entry for sweep in sweeps for entry in sweep.cells]
    cells = {entry.signature: entry for entry in listed if entry.stages}
    others = [*(entry for sweep in sweeps for entry in sweep.stages), *listed]
    stages = {entry.signature: entry for entry in others if entry.signature not in cells}
    ordered = sorted(cells.values(), key=lambda entry: entry.steps == 0)
    return Sweep(" ".join(sweep.name for sweep in sweeps), sweeps[0].root, list(stages.values()), ordered)


def _latest(sweep: Sweep, cells: Sequence[CellResult], metric: Metric) -> list[CellResult]:
    """Keep one cell for each training and evaluation: prefer a result that counts, then the most steps.

    If a training goes on after its evaluation, the next launch evaluates it again. The earlier result stays in the
    ledger and would look like another seed in the comparison. By a benchmark that was named, cells of one training have
    the same answers, and a cell that was not put to it says nothing beside one that was.
    """
    found: dict[tuple, tuple[tuple[bool, bool, int], CellResult]] = {}
    for cell in cells:
        of_launch = RunDirectory(sweep.root / cell.entry.stages[0]).evaluation_signature
        key = cell.entry.training, of_launch if metric.benchmark is None else None
        rank = (metric.benchmark is None or cell.final is not None, not cell.unlike, cell.asked)
        if key not in found or rank > found[key][0]:
            found[key] = rank, cell
    return [cell for _, cell in found.values()]


def _trained(sweep: Sweep, entry: Entry) -> dict:
    """Return the identity of the training whose results a cell shows; {} if its configuration was never frozen."""
    return RunDirectory(sweep.root / entry.training).identity or {}


def _point(sweep: Sweep, cell: CellResult, sides: Sides) -> Point:
    return Point(_trained(sweep, cell.entry), sides.identity, cell.entry.axes, cell.length)


def _evaluations(cells: Sequence[CellResult], sides: Mapping[str, Sides], metric: Metric) -> dict[str, dict]:
    """Return the identity of each evaluation of the cells, by the name that they have for it."""
    if metric.benchmark is not None:
        return {cell.evaluation: sides[cell.entry.directory].identity for cell in cells if cell.evaluation}
    runs = [RunDirectory(cell.directory) for cell in cells]
    return {signature(run.evaluation): run.evaluation for run in runs if run.evaluation}


def _cell(sweep: Sweep, status: Status, sides: Sides, metric: Metric, answers: KeptAnswers) -> CellResult:
    entry = status.entry
    run, base, final = RunDirectory(sweep.directory(entry)), sides.base, sides.final
    trained = _trained(sweep, entry)
    asked = entry.steps or (run.identity or {}).get("steps", 0)
    value = _value(sweep, entry, sides, metric, answers)
    reached = (run.read_result() or {}).get("step")
    length = (status.step if status.state == State.DONE else 0) or reached or asked
    return CellResult(
        entry=entry,
        axes=entry.axes,
        state=status.state,
        step=status.step or reached or 0,
        base_accuracy=base.get("accuracy"),
        final_accuracy=final.get("accuracy"),
        base_code=base.get("code"),
        final_code=final.get("code"),
        directory=str(run.path),
        note=status.note,
        evaluation=final.get("evaluation", base.get("evaluation")),
        rules=trained.get("rules", {}) if "schema" in trained and trained["schema"] > 1 else None,
        unlike=sides.unlike,
        older=stale(trained) or (stale(run.evaluation) if run.evaluation else "") or "",
        asked=asked,
        length=length if metric.step is None or value is None else metric.step,
        base=base.get(metric.key) if metric.of_evaluation else None,
        final=value,
        answers=_answers(final) or _answers(base),
        counted=sides.counted,
        made=_made(RunDirectory(sweep.root / entry.training)),
        training=str(sweep.root / entry.training),
        cost=status.cost,
        ends=_ends(base, final) if metric.of_evaluation and metric.step is None else {},
    )


def _value(sweep: Sweep, entry: Entry, sides: Sides, metric: Metric, answers: KeptAnswers) -> float | None:
    """Return the metric at the end of a cell's training or at the metric's step; None if there is no value."""
    training, run = RunDirectory(sweep.root / entry.training), RunDirectory(sweep.directory(entry))
    if metric.of_evaluation and (metric.step is None or sides.from_answers):
        return sides.final.get(metric.key)
    if metric.step is None:
        return last_row(training.metrics).get(metric.name) if run.read_result() else None
    columns = metric.columns(training.evaluations)
    found = read_series(training.metrics, [columns.value, columns.evaluation])
    if not metric.of_evaluation:
        return found[columns.value].get(metric.step)
    own = run.evaluation if metric.benchmark is None else run.evaluations.get(metric.benchmark)
    if found[columns.evaluation].get(metric.step) != (signature(own) if own else None):
        return None  # the value comes from another evaluation than the cell's
    value = found[columns.value].get(metric.step)
    return number_at_step(entry, sides, metric, answers) if value is None else value


def _ends(base: Mapping, final: Mapping) -> dict[str, dict[str, float]]:
    """Return what tells a gain from fewer cut-offs, of both sides; {} if it is not known of both."""
    found = {
        side: {name: numbers[name] for name in ENDS if numbers.get(name) is not None}
        for side, numbers in (("base", base), ("final", final))
    }
    return found if all(len(numbers) == len(ENDS) for numbers in found.values()) else {}


def _answers(result: dict) -> int | None:
    """Return the number of graded answers behind an evaluation's result, or None if the result does not say."""
    problems, samples = result.get("problems"), result.get("samples_per_problem")
    return problems * samples if problems and samples else None


def _made(training: RunDirectory) -> dict[str, str]:
    """Return the code, weights and processor of a training's latest attempt, as far as they are recorded."""
    facts = training.read_provenance()
    weights = facts.get("model") or {}
    processor = ", ".join(sorted(set(facts.get("gpus") or []))) or facts.get("processor")
    found = {"code": facts.get("code"), "weights": weights.get("content"), "processor": processor}
    return {name: value for name, value in found.items() if value}


def _check_metric(sweep: Sweep, cells: Sequence[CellResult], metric: Metric) -> None:
    """Raise UserError for a metric that is not a number, and for a metric or step of which no cell has a value.

    The message names the metrics or the steps that exist.
    """
    values = [value for cell in cells for value in (cell.base, cell.final) if value is not None]
    if text := next((value for value in values if not isinstance(value, int | float)), None):
        raise UserError(f"--metric {metric.name}: no number, but {json.dumps(text)}")
    if (metric.name == ACCURACY and metric.step is None) or any(cell.final is not None for cell in cells):
        return
    trainings = [RunDirectory(sweep.root / entry.training) for entry in sweep.cells]
    columns = {run.metrics: metric.columns(run.evaluations).value for run in trainings}
    with_it = {step for file, column in columns.items() for step in read_series(file, [column])[column]}
    names = sorted({name for file in columns for name in last_row(file) if "/" in name})
    if metric.name in names and not with_it:
        raise UserError(
            f"--metric {metric.name}: empty at every step of every cell, as nothing was there to compute it from; "
            "docs/metrics.md says what it needs"
        )
    has_results = any(cell.final_accuracy is not None for cell in cells)
    if not with_it and has_results and metric.of_evaluation and is_number(metric.key):
        raise UserError(
            f"--metric {metric.name}: no cell has it, and no answers{metric.of_benchmark} are kept to compute it from; "
            f"`{program()} evaluate SWEEP` keeps them"
        )
    if names and not with_it:
        close = get_close_matches(metric.name, names, 3)
        hint = f"; did you mean {' or '.join(close)}?" if close else f"; there are: {', '.join(names)}"
        raise UserError(f"--metric {metric.name}: no cell has such a metric{hint}")
    if with_it and metric.step is not None:
        raise UserError(
            f"--at-step {metric.step}: no cell has {metric.name} of that step; there are the steps {listed(with_it)}"
        )


@dataclass(frozen=True)
class LabelStage:
    """The label stage of a model with all its shards. `state` is done, or the state of a shard that is not done."""

    model: str
    state: str
    shards: tuple[Path, ...]

    def labels(self, vote: str) -> Sequence[Label]:
        """Return its labels by the given kind of vote."""
        return list(read_labels(self.shards, vote))


def label_stages(root: Path, name: str) -> list[LabelStage]:
    """Return every label stage that a cell of the sweep was trained with."""
    sweep = read_sweep(root, name)
    needs = {run.directory: run.stages for run in (*sweep.stages, *sweep.cells)}
    trained = {(e.model, e.training) for e in sweep.cells}  # a cell that only evaluates reads no labels itself
    stages = {(m, tuple(s for s in needs.get(t, ()) if RunDirectory(s).name.startswith("labels-"))) for m, t in trained}
    return [_label_stage(model, [root / s for s in shards]) for model, shards in sorted(stages) if shards]


def _label_stage(model: str, shards: Sequence[Path]) -> LabelStage:
    states = [read_state(shard) for shard in shards]
    return LabelStage(model, next((s for s in states if s != State.DONE), State.DONE), tuple(shards))
