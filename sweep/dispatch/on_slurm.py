"""The back end of a Slurm cluster: it submits what is missing and returns, or stays and watches."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from sweep.dispatch import slurm
from sweep.dispatch.remote import launch_on_slurm
from sweep.dispatch.saved_view import view_made_meanwhile
from sweep.dispatch.select import Run
from sweep.dispatch.snapshot import snapshot_code
from sweep.dispatch.submit import Prepared, Submitted, check_requests, prepare, submit
from sweep.dispatch.surroundings import unheard
from sweep.plan.plan import Plan
from sweep.plan.task import Task
from sweep.plan.validate import check
from sweep.run.ledger import Sweep


class Slurm:
    """The Slurm cluster whose commands this machine has."""

    def check(self, plan: Plan, screen: Console) -> None:
        """Print which variables of the shell are ignored, and let Slurm test every shape; see `Backend.check`."""
        for line in unheard(os.environ):
            screen.print(line, soft_wrap=True, markup=False, highlight=False)
        check_requests(plan.tasks, plan.root)

    def prepare(self, plan: Plan, code: Path) -> WorkOnSlurm:
        """Claim the missing runs and write what they read; see `Backend.prepare`."""
        return WorkOnSlurm(plan, prepare(plan.tasks, plan.root, code, plan.name))

    def retry(self, tasks: Sequence[Task], sweep: Sweep, force: bool) -> Submitted:
        """Check the tasks and submit them; see `Backend.retry`."""
        check(tasks)
        check_requests(tasks, sweep.root)
        return submit(tasks, sweep.root, snapshot_code(sweep.root), sweep.name, force)

    def cancel(self, runs: Sequence[Run]) -> dict[Path, str]:
        """Cancel the jobs of the runs; see `Backend.cancel`."""
        refused = _cancel([run.status.job for run in runs])
        return {run.path: refused[run.status.job] for run in runs if run.status.job in refused}


@dataclass(frozen=True)
class WorkOnSlurm:
    """A launch that has claimed its runs and will submit them."""

    plan: Plan
    prepared: Prepared

    def carry_out(self, sweep: Sweep, screen: Console, show: Callable[[], None] | None = None) -> int:
        """Submit the runs, and watch them if `cluster.wait` is set; see `Work.carry_out`.

        Results are shown by the commands that read them, because they come later.
        """
        cluster = self.plan.cells[0].config.slurm
        with view_made_meanwhile(self.plan, screen):
            asked = [task.entry for task in self.plan.cells]
            return launch_on_slurm(self.prepared, sweep, cluster.wait, screen, asked)


def _cancel(jobs: Sequence[str]) -> dict[str, str]:
    """Cancel jobs of Slurm; return its messages about those that it did not cancel."""
    if not jobs:
        return {}
    try:
        slurm.cancel(jobs)
    except slurm.SlurmError as error:
        if len(jobs) == 1:
            return {jobs[0]: str(error)}
        return {job: why for job in jobs for why in _cancel([job]).values() if "already complet" not in why}
    return {}
