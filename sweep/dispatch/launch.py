"""Launch a sweep: plan it, check it, write what its runs read, record it, and have a back end carry it out."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from sweep.dispatch.backend import Backend
from sweep.dispatch.backends import backend_of
from sweep.dispatch.snapshot import snapshot_code
from sweep.dispatch.view import console
from sweep.errors import UserError
from sweep.plan.plan import Plan, plan_sweep
from sweep.plan.task import Task
from sweep.plan.tracking import resolve
from sweep.plan.view import print_notes
from sweep.run.ledger import record
from sweep.run.unwritable import complaint


def launch(overrides: list[str], config_dir: str | None = None) -> int:
    """Run what is missing of the sweep that `overrides` describe.

    Returns:
        the exit code: 0 where every cell is done, 1 where one is not, 130 after an interruption.
    Raises:
        UserError: bad input; nothing was submitted or written.
    """
    screen = console()
    plan = plan_sweep(overrides, config_dir)
    if plan.obstacles:
        raise UserError("\n".join(plan.obstacles))
    print_notes(plan, screen)
    backend = backend_of(plan.cluster)
    backend.check(plan, screen)
    _make_writable(plan.root)
    try:
        groups = [f"--config-dir={Path(config_dir).absolute()}"] if config_dir else []
        return _launch(plan, backend, [*groups, *overrides], screen)
    except OSError as error:
        if not (fault := complaint(error, plan.root)):
            raise
        raise UserError(f"output_dir={plan.root}: {fault}") from error


def _launch(plan: Plan, backend: Backend, typed: list[str], screen: Console) -> int:
    """Record the plan with the overrides that were typed for it, and run it."""
    plan = _with_tracking(plan, screen)
    # In this order, so that whatever the ledger lists can be submitted by `retry`.
    work = backend.prepare(plan, snapshot_code(plan.root))
    stages, cells = ([task.entry for task in tasks] for tasks in (plan.stages, plan.cells))
    sweep = record(plan.name, plan.root, stages, cells, typed)
    return work.carry_out(sweep, screen)


def _with_tracking(plan: Plan, screen: Console) -> Plan:
    """Fix the tracking settings that runs leave open: once, and here, where a person reads the outcome."""
    resolved = {config.tracking: resolve(config, os.environ) for config in (task.config for task in plan.cells)}

    def tracked(task: Task) -> Task:
        """Return a task with its fixed tracking settings."""
        tracking = resolved[task.config.tracking].tracking
        return replace(task, config=task.config.model_copy(update={"tracking": tracking}))

    settled = replace(plan, stages=[tracked(t) for t in plan.stages], cells=[tracked(t) for t in plan.cells])
    for line in dict.fromkeys(line for one in resolved.values() for line in one.said):
        screen.print(line, markup=False, highlight=False, soft_wrap=True)
    return settled


def _make_writable(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if not complaint(error):
            raise
        raise UserError(f"output_dir={root}: {error.strerror}; set output_dir to a directory you may write") from None
    if not os.access(root, os.W_OK):
        raise UserError(f"output_dir={root}: not writable; set output_dir to a directory you may write")
