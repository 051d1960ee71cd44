"""Launch a sweep: plan, freeze, queue, show, compare."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from sweep.compare.cells import collect
from sweep.compare.table import print_verdict
from sweep.compare.verdict import judge
from sweep.config.cell import LocalCluster, SlurmCluster
from sweep.config.faults import counted
from sweep.dispatch.ending import show_curves
from sweep.dispatch.local import LocalQueue
from sweep.dispatch.remote import launch_on_slurm
from sweep.dispatch.saved_view import view_made_meanwhile
from sweep.dispatch.snapshot import snapshot_code
from sweep.dispatch.submit import check_requests, prepare
from sweep.dispatch.surroundings import unheard
from sweep.dispatch.view import console, live_view, suggested
from sweep.errors import UserError
from sweep.plan.plan import Plan, plan_sweep
from sweep.plan.task import Task
from sweep.plan.tracking import resolve
from sweep.plan.view import print_notes, time_left
from sweep.run.directory import RunDirectory
from sweep.run.ledger import Entry, Sweep, record
from sweep.run.state import State
from sweep.run.status import read_status
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
    cluster = plan.cells[0].config.cluster
    if isinstance(cluster, SlurmCluster):
        for line in unheard(os.environ):
            screen.print(line, soft_wrap=True, markup=False, highlight=False)
        check_requests(plan.tasks, plan.root)
    _make_writable(plan.root)
    try:
        groups = [f"--config-dir={Path(config_dir).absolute()}"] if config_dir else []
        return _launch(plan, [*groups, *overrides], screen)
    except OSError as error:
        if not (fault := complaint(error, plan.root)):
            raise
        raise UserError(f"output_dir={plan.root}: {fault}") from error


def _launch(plan: Plan, typed: list[str], screen: Console) -> int:
    """Record the plan with the words that were typed for it, and run it."""
    plan, cluster = _with_tracking(plan, screen), plan.cells[0].config.cluster
    code = snapshot_code(plan.root)
    stages, cells = ([_entry(task, plan.root) for task in tasks] for tasks in (plan.stages, plan.cells))
    if isinstance(cluster, LocalCluster):
        sweep = record(plan.name, plan.root, stages, cells, typed)
        return _launch_here(plan, sweep, cluster, code, screen)
    # In this order, so that whatever the ledger lists can be submitted by `retry`.
    prepared = prepare(plan.tasks, plan.root, code, plan.name)
    sweep = record(plan.name, plan.root, stages, cells, typed)
    with view_made_meanwhile(plan, screen):
        return launch_on_slurm(prepared, sweep, cluster.wait, screen)


def _launch_here(plan: Plan, sweep: Sweep, cluster: LocalCluster, code: Path, screen: Console) -> int:
    for task in plan.tasks:
        _freeze(task, plan.name)
    queue = LocalQueue(plan.tasks, code, cluster)
    _say_what_runs(plan, screen)
    try:
        with view_made_meanwhile(plan, screen), live_view(sweep, screen) as view:
            statuses = queue.run(view.show, view.pause)
    except KeyboardInterrupt:
        screen.print("left; jobs that still run are adopted when the same command is given again")
        return 130
    verdict = judge(collect(plan.root, plan.name))
    print_verdict(verdict, screen)
    done = all(s.state == State.DONE for s in statuses)
    if not queue.stopping:
        show_curves(verdict, plan.root / "sweeps" / plan.name / "figures", screen)
    elif not done:
        screen.print("interrupted; the same command goes on from here")
        return 130
    return 0 if done else 1


def _with_tracking(plan: Plan, screen: Console) -> Plan:
    """Settle what the tracking of each run leaves open, once, here, where a person reads the answer."""
    resolved = {config.tracking: resolve(config, os.environ) for config in (task.config for task in plan.cells)}

    def tracked(task: Task) -> Task:
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


def _freeze(task: Task, sweep: str) -> None:
    """Write what the task's next attempt reads, unless it is done or someone works on it."""
    state = read_status(task.label, task.directory, task.steps).state
    if state.at_work or state in (State.DONE, State.REFUSED):
        return
    config = task.config.model_copy(update={"name": sweep})
    RunDirectory(task.directory).freeze(config, task.signature, task.identity, task.evaluation)


def _entry(task: Task, root: Path) -> Entry:
    return Entry(
        label=task.label,
        module=task.module,
        axes=task.axes,
        model=task.config.model.name,
        reward=task.config.reward.title,
        seed=task.config.seed,
        signature=task.signature,
        steps=task.steps,
        directory=str(task.directory.relative_to(root)),
        stages=[str(d.relative_to(root)) for d in task.after],
    )


def _say_what_runs(plan: Plan, screen: Console) -> None:
    statuses = plan.statuses()
    done = sum(status.state == State.DONE for status in statuses[len(plan.stages) :])
    cells = counted(len(plan.cells), "cell")
    screen.print(f"sweep {plan.name}: {cells}, {done} done before; runs in {plan.root}", soft_wrap=True)
    if line := time_left(plan, statuses):
        said = f"{line}; {suggested(f'status {plan.name}', plan.root)} says it again"
        screen.print(said, soft_wrap=True, markup=False, highlight=False)
