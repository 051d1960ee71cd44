"""The protocol of a back end: it starts, retries and stops runs.

Reading the states of runs (`sweep.dispatch.states`) needs no back end: a run that was claimed for a submission has a
Slurm job, and the directory of every other run holds its state, whatever started it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from rich.console import Console

from sweep.dispatch.select import Run
from sweep.dispatch.submit import Submitted
from sweep.plan.plan import Plan
from sweep.plan.task import Task
from sweep.run.ledger import Sweep


class Work(Protocol):
    """A prepared launch: all files that its runs read are on disk."""

    def carry_out(self, sweep: Sweep, screen: Console, show: Callable[[], None] | None = None) -> int:
        """Start the missing runs of the sweep, which the ledger lists by now, and show their progress.

        Args:
            show: prints the results once all has ended; None for the comparison of the sweep's cells.
        Returns:
            the exit code: 0 if all is done, or submitted without waiting for it; 1 if something is not; 130 after an
            interruption.
        """


class Backend(Protocol):
    """A place where runs execute. It holds no state: it works from its arguments and from the files on disk."""

    def check(self, plan: Plan, screen: Console) -> None:
        """Look for obstacles before anything is written, and print on `screen` which settings the launch ignores.

        Raises:
            UserError: the tasks would be refused.
        """

    def prepare(self, plan: Plan, code: Path) -> Work:
        """Write the files that the plan's runs read, for runs that are neither done nor in progress.

        Args:
            code: the snapshot of the code.
        """

    def retry(self, tasks: Sequence[Task], sweep: Sweep, force: bool) -> Submitted:
        """Submit runs again that an earlier launch left unfinished.

        Args:
            force: also submit runs that ended the same way several times in a row.
        Raises:
            UserError: the tasks would be refused, or only a launch starts runs here. Nothing was changed.
        """

    def cancel(self, runs: Sequence[Run]) -> dict[Path, str]:
        """Send a request to stop to runs that are queued or running.

        Returns:
            by directory, why no request was sent to a run.
        """
