"""Carry out evaluations of weights that exist, and show what they came to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sweep.dispatch.backends import backend_of
from sweep.dispatch.select import runs, select
from sweep.dispatch.snapshot import snapshot_code
from sweep.dispatch.view import console, suggested
from sweep.errors import UserError
from sweep.plan.evaluations import Steps, plan_evaluations, plan_model
from sweep.plan.model_here import overrides_for
from sweep.plan.plan import Plan
from sweep.plan.task import Task
from sweep.plan.view import print_notes
from sweep.run.directory import RunDirectory
from sweep.run.ledger import Sweep, read_sweep, record
from sweep.run.unwritable import complaint

FEW_FOUND = 0.5  # below this share of responses with an answer, accuracy says little about what was solved


def evaluate_cells(
    root: Path, name: str, words: Sequence[str], steps: Steps, config_dir: str | None, screen: Console | None = None
) -> int:
    """Evaluate cells of a sweep, and their untrained models, without training anything.

    Args:
        words: cells, as `select` takes them, and overrides; what sets a key of the configuration is an override, unless
            it is an axis of the sweep.
    Returns:
        the exit code of the launch (see `sweep.dispatch.launch.launch`).
    Raises:
        UserError: bad input; nothing was submitted or written.
    """
    sweep = read_sweep(root, name)
    patterns, overrides = told_apart(sweep, words)
    of_cells = {entry.directory for entry in sweep.cells}
    chosen = [run.entry for run in select([r for r in runs(sweep) if r.entry.directory in of_cells], patterns)]
    plan = plan_evaluations(name, root, chosen, steps, overrides, config_dir)
    return _carry_out(plan, words, screen or console())


def evaluate_model(
    root: Path,
    name: str | None,
    model: str,
    overrides: Sequence[str],
    config_dir: str | None,
    screen: Console | None = None,
) -> int:
    """Evaluate a model that was not trained here: a hub id, or a directory of weights. See `evaluate_cells`."""
    found = [*overrides_for(model, overrides, config_dir), *overrides, f"output_dir={root}"]
    return _carry_out(plan_model(name, root, found, config_dir), [f"--model={model}", *overrides], screen or console())


def told_apart(sweep: Sweep, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words that choose cells, and those that are overrides."""
    axes = {axis for entry in sweep.cells for axis in entry.axes}
    patterns = [word for word in words if "=" not in word or word.partition("=")[0] in axes]
    return patterns, [word for word in words if word not in patterns]


def _carry_out(plan: Plan, typed: Sequence[str], screen: Console) -> int:
    print_notes(plan, screen)
    backend = backend_of(plan.cluster)
    backend.check(plan, screen)
    try:
        plan.root.mkdir(parents=True, exist_ok=True)
        work = backend.prepare(plan, snapshot_code(plan.root))
        sweep = record(plan.name, plan.root, [task.entry for task in plan.cells], [], ["evaluate", *typed])
    except OSError as error:
        if not (fault := complaint(error, plan.root)):
            raise
        raise UserError(f"output_dir={plan.root}: {fault}") from error
    return work.carry_out(sweep, screen, lambda: show(plan, screen))


def show(plan: Plan, screen: Console) -> None:
    """Print a line for each evaluation that is done: what was evaluated, and what it came to."""
    columns = ("weights", "benchmark", "accuracy %", "pass@k %", "maj@k %", "answers", "cut off %")
    table = Table(*columns[:2], title=f"sweep {plan.name}: evaluations", title_justify="left")
    for column in columns[2:]:
        table.add_column(column, justify="right")
    unread = []
    for task in plan.cells:
        result = RunDirectory(task.directory).read_result() or {}
        older = {name: result for name in [*task.evaluations][:1] if result}  # before there were several benchmarks
        for benchmark, numbers in result.get("benchmarks", older).items():
            table.add_row(_weights(task), benchmark, *_numbers(numbers))
            if numbers.get("extracted", 1) < FEW_FOUND:
                unread.append(_unread(plan, task, benchmark, numbers["extracted"]))
    if table.row_count:
        screen.print(table)
    for line in unread:
        screen.print(line, soft_wrap=True, markup=False, highlight=False)
    screen.print(
        f"answers: {plan.root / 'answers'}; {suggested(f'compare {plan.name}', plan.root)} compares cells",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def _weights(task: Task) -> str:
    """Return the label of a task without the names of its benchmarks, which have a column."""
    return task.label.replace(f" by {', '.join(task.config.evaluation.benchmarks)}", "", 1)


def _unread(plan: Plan, task: Task, benchmark: str, extracted: float) -> str:
    """Say that most responses are wrong because no answer was found in them, and how answers are found otherwise."""
    read = ", ".join(task.config.grading.extraction)
    lenient = suggested(f"grade {plan.name} grading=lenient", plan.root)
    return (
        f"{_weights(task)}, {benchmark}: an answer was found ({read}) in {100 * extracted:.0f} % of the responses; "
        f"the others count as wrong. A prompt can ask for a box, and {lenient} grades what is there with more ways to "
        "find an answer"
    )


def _numbers(found: dict) -> list[str]:
    """Return the numbers of one evaluation as cells of the table."""
    k = max((int(name.removeprefix("pass@")) for name in found if name.startswith("pass@")), default=None)
    at_k = [f"{100 * found[f'{score}@{k}']:.1f} (k={k})" if k else "" for score in ("pass", "maj")]
    answers = f"{found['problems']} × {found['samples_per_problem']}"
    return [f"{100 * found['accuracy']:.1f}", *at_k, answers, f"{100 * found['truncated']:.1f}"]
