"""Carry out evaluations of weights that exist."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sweep.dispatch.backends import backend_of
from sweep.dispatch.evaluated import show
from sweep.dispatch.lost_answers import open_again
from sweep.dispatch.select import runs, select
from sweep.dispatch.snapshot import snapshot_code
from sweep.dispatch.view import console
from sweep.errors import UserError
from sweep.plan.evaluations import Steps, plan_evaluations, plan_model
from sweep.plan.model_here import overrides_for
from sweep.plan.plan import Plan
from sweep.plan.view import print_notes
from sweep.run.ledger import Sweep, read_sweep, record
from sweep.run.unwritable import complaint


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
        open_again(plan.cells)
        work = backend.prepare(plan, snapshot_code(plan.root))
        sweep = record(plan.name, plan.root, [task.entry for task in plan.cells], [], ["evaluate", *typed])
    except OSError as error:
        if not (fault := complaint(error, plan.root)):
            raise
        raise UserError(f"output_dir={plan.root}: {fault}") from error
    return work.carry_out(sweep, screen, lambda: show(plan, screen))
