"""The back ends of this machine: `local` works in processes of its own, `inline` in the process of the launch."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from sweep.compare.cells import collect
from sweep.compare.table import print_verdict
from sweep.compare.verdict import judge
from sweep.config.cell import LocalCluster
from sweep.config.faults import plural
from sweep.dispatch.ending import show_curves
from sweep.dispatch.inline import InlineQueue
from sweep.dispatch.local import LocalQueue
from sweep.dispatch.plain import PlainLines
from sweep.dispatch.queue import Queue
from sweep.dispatch.saved_view import view_made_meanwhile
from sweep.dispatch.select import Run
from sweep.dispatch.submit import Submitted
from sweep.dispatch.view import LiveView, live_view, suggested
from sweep.errors import UserError
from sweep.plan.plan import Plan
from sweep.plan.task import Task
from sweep.plan.view import time_left
from sweep.run.directory import RunDirectory
from sweep.run.ledger import Sweep
from sweep.run.state import State
from sweep.run.status import read_status

View = Callable[[Sweep, Console], AbstractContextManager[LiveView | PlainLines]]


class _Here:
    """What both have in common: they start what is missing when a launch is given, and never later."""

    def check(self, plan: Plan, screen: Console) -> None:
        """The plan has looked at this machine already."""

    def retry(self, tasks: Sequence[Task], sweep: Sweep, force: bool) -> Submitted:
        raise UserError(f"{sweep.name} ran on this machine: give the launch command again, it goes on from there")

    def cancel(self, runs: Sequence[Run]) -> dict[Path, str]:
        return {run.path: why for run in runs if (why := _stop(run))}


class Local(_Here):
    """Jobs of this machine; the launch waits for them."""

    def prepare(self, plan: Plan, code: Path) -> WorkHere:
        assert isinstance(plan.cluster, LocalCluster)  # `backends.py` chooses by it
        _freeze(plan)
        return WorkHere(plan, LocalQueue(plan.tasks, code, plan.cluster), live_view)


class Inline(_Here):
    """The process of the launch itself, under a debugger for example.

    It runs the working tree's code. The launch keeps a snapshot all the same, so that what a run was made with can be
    looked up later.
    """

    def prepare(self, plan: Plan, code: Path) -> WorkHere:
        _freeze(plan)
        return WorkHere(plan, InlineQueue(plan.tasks), _plain_lines)


@dataclass(frozen=True)
class WorkHere:
    """A queue of the plan's tasks, and what shows it."""

    plan: Plan
    queue: Queue
    view: View

    def carry_out(self, sweep: Sweep, screen: Console) -> int:
        plan, queue = self.plan, self.queue
        _say_what_runs(plan, screen)
        try:
            with view_made_meanwhile(plan, screen), self.view(sweep, screen) as view:
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


def _plain_lines(sweep: Sweep, screen: Console) -> AbstractContextManager[PlainLines]:
    """Lines that stay between those of the runs' own logs: a view that is drawn again and again would cover them."""
    return nullcontext(PlainLines(screen))


def _freeze(plan: Plan) -> None:
    """Write what each task's next attempt reads, unless it is done or someone works on it."""
    for task in plan.tasks:
        state = read_status(task.entry, task.root).state
        if not state.at_work and state not in (State.DONE, State.REFUSED):
            task.freeze(plan.name)


def _stop(run: Run) -> str:
    """Ask the process of a run without a job to stop; returns why it was not asked, or ""."""
    if not run.status.state.at_work:
        return "has no process and no job; a launch that is at it stops with Ctrl-C"
    try:
        return "" if RunDirectory(run.path).signal(signal.SIGTERM) else "its process is gone"
    except UserError as error:
        return str(error)


def _say_what_runs(plan: Plan, screen: Console) -> None:
    statuses = plan.statuses()
    done = sum(status.state == State.DONE for status in statuses[len(plan.stages) :])
    cells = plural(len(plan.cells), "cell")
    screen.print(f"sweep {plan.name}: {cells}, {done} done before; runs in {plan.root}", soft_wrap=True)
    if line := time_left(plan, statuses):
        said = f"{line}; {suggested(f'status {plan.name}', plan.root)} says it again"
        screen.print(said, soft_wrap=True, markup=False, highlight=False)
