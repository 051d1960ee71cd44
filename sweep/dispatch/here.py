"""The back ends of this machine: `local` works in processes of its own, `inline` in the process of the launch."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from sweep.compare.ask import answer
from sweep.compare.table import print_verdict
from sweep.config.cell import LocalCluster
from sweep.config.faults import plural
from sweep.dispatch.devices import crowded
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
from sweep.plan.machine import gpus
from sweep.plan.plan import Plan
from sweep.plan.task import TRAIN, Task
from sweep.plan.view import time_left
from sweep.run.directory import RunDirectory
from sweep.run.ledger import Sweep
from sweep.run.state import State
from sweep.run.status import read_status

View = Callable[[Sweep, Console], AbstractContextManager[LiveView | PlainLines]]


class _Here:
    """The common part of both back ends: they start missing runs during a launch, and never later."""

    def check(self, plan: Plan, screen: Console) -> None:
        """Print which GPUs other programs use. What makes a launch impossible here, the plan has refused already."""
        for line in crowded(plan.tasks, gpus()):
            screen.print(f"note: {line}", soft_wrap=True, markup=False, highlight=False)

    def retry(self, tasks: Sequence[Task], sweep: Sweep, force: bool) -> Submitted:
        """Refuse, because only a launch starts runs on this machine; see `Backend.retry`."""
        raise UserError(f"{sweep.name} ran on this machine: give the launch command again, it goes on from there")

    def cancel(self, runs: Sequence[Run]) -> dict[Path, str]:
        """Send SIGTERM to the process of each run; see `Backend.cancel`."""
        return {run.path: why for run in runs if (why := _stop(run))}


class Local(_Here):
    """Runs are jobs on this machine; the launch waits for them."""

    def prepare(self, plan: Plan, code: Path) -> WorkHere:
        """Write what the runs read, and set up a queue that starts jobs; see `Backend.prepare`."""
        assert isinstance(plan.cluster, LocalCluster)  # `backends.py` chooses by it
        _freeze(plan)
        return WorkHere(plan, LocalQueue(plan.tasks, code, plan.cluster), live_view)


class Inline(_Here):
    """Runs execute in the process of the launch itself, under a debugger for example.

    They use the code of the working tree. The launch keeps a snapshot anyway, so that the code of a run can be looked
    up later.
    """

    def prepare(self, plan: Plan, code: Path) -> WorkHere:
        """Write what the runs read, and set up a queue for this process; see `Backend.prepare`."""
        _freeze(plan)
        return WorkHere(plan, InlineQueue(plan.tasks), _plain_lines)


@dataclass(frozen=True)
class WorkHere:
    """A launch on this machine: a queue of the plan's tasks, and the view that shows it."""

    plan: Plan
    queue: Queue
    view: View

    def carry_out(self, sweep: Sweep, screen: Console, show: Callable[[], None] | None = None) -> int:
        """Run the queue, then print the results; see `Work.carry_out`."""
        plan, queue = self.plan, self.queue
        _say_what_runs(plan, screen)
        try:
            with view_made_meanwhile(plan, screen), self.view(sweep, screen) as view:
                statuses = queue.run(view.show, view.pause)
        except KeyboardInterrupt:
            screen.print("left; jobs that still run are adopted when the same command is given again")
            return 130
        done = all(s.state == State.DONE for s in statuses)
        if show is not None:
            show()
        else:
            _show_comparison(plan, screen, with_curves=not queue.stopping)
        if queue.stopping and not done:
            screen.print("interrupted; the same command goes on from here")
            return 130
        return 0 if done else 1


def _show_comparison(plan: Plan, screen: Console, with_curves: bool) -> None:
    verdict = answer([plan.name], plan.root)
    print_verdict(verdict, screen)
    if with_curves:
        show_curves(verdict, plan.root / "sweeps" / plan.name / "figures", screen)


def _plain_lines(sweep: Sweep, screen: Console) -> AbstractContextManager[PlainLines]:
    """Return a view of lines that stay: a view that is drawn again and again would cover the logs of the runs."""
    return nullcontext(PlainLines(screen))


def _freeze(plan: Plan) -> None:
    """Write what each task's next attempt reads, unless the task is done, refused or in progress."""
    for task in plan.tasks:
        state = read_status(task.entry, task.root).state
        if not state.at_work and state not in (State.DONE, State.REFUSED):
            task.freeze(plan.name)


def _stop(run: Run) -> str:
    """Send SIGTERM to the process of a run without a job. Return why it was not sent, or ""."""
    if not run.status.state.at_work:
        return "has no process and no job; a launch that is at it stops with Ctrl-C"
    try:
        return "" if RunDirectory(run.path).signal(signal.SIGTERM) else "its process is gone"
    except UserError as error:
        return str(error)


def _say_what_runs(plan: Plan, screen: Console) -> None:
    statuses = plan.statuses()
    done = sum(status.state == State.DONE for status in statuses[len(plan.stages) :])
    trains = any(task.module == TRAIN for task in plan.tasks)
    cells = plural(len(plan.cells), "cell" if trains else "evaluation")
    screen.print(f"sweep {plan.name}: {cells}, {done} done before; runs in {plan.root}", soft_wrap=True)
    if line := time_left(plan, statuses):
        said = f"{line}; {suggested(f'status {plan.name}', plan.root)} says it again"
        screen.print(said, soft_wrap=True, markup=False, highlight=False)
