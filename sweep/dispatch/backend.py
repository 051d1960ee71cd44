"""What a back end does for a sweep: the one protocol that launching, retrying and cancelling know.

A look at the runs (`sweep.dispatch.states`) needs no back end: a run that was claimed for a submission has a job of
Slurm's, and every other run tells its state in its directory, whatever started it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rich.console import Console

from sweep.dispatch.select import Run
from sweep.dispatch.submit import Submitted
from sweep.plan.plan import Plan
from sweep.plan.task import Task
from sweep.run.ledger import Sweep


class Work(Protocol):
    """A launch whose runs have all that they read on disk."""

    def carry_out(self, sweep: Sweep, screen: Console) -> int:
        """Start what is missing of the sweep, which the ledger lists by now; show what becomes of it.

        Returns:
            the exit code: 0 where all is done, or submitted and not waited for; 1 where something is not; 130 after an
            interruption.
        """


class Backend(Protocol):
    """Where runs are worked on. It holds no state: what it needs to know comes with the tasks or lies on disk."""

    def check(self, plan: Plan, screen: Console) -> None:
        """Look for obstacles before anything is written; say on `screen` what the launch does not take into account.

        Raises:
            UserError: the tasks would be refused.
        """

    def prepare(self, plan: Plan, code: Path) -> Work:
        """Write what the runs of the plan read, for those that are neither done nor being worked on.

        Args:
            code: the snapshot of the code.
        """

    def retry(self, tasks: Sequence[Task], sweep: Sweep, force: bool) -> Submitted:
        """Submit runs again that an earlier launch left unfinished.

        Args:
            force: also what ended the same way several times in a row.
        Raises:
            UserError: the tasks would be refused, or only a launch starts runs again here. Nothing was changed.
        """

    def cancel(self, runs: Sequence[Run]) -> dict[Path, str]:
        """Ask runs that are queued or running to stop.

        Returns:
            by directory, why a run was not asked.
        """
