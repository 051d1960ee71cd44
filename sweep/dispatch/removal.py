"""Take runs out of a sweep. What they computed stays where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sweep.dispatch.select import Run, runs, select
from sweep.errors import UserError
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.run.ledger import Sweep
from sweep.run.state import ACTIVE


def to_remove(sweep: Sweep, words: Sequence[str]) -> list[Run]:
    """Return the runs that match, and the stages that no other cell of the sweep needs.

    Raises:
        UserError: one of them is queued or running, or a cell that would stay needs it.
    """
    found = runs(sweep)
    chosen = {run.entry.directory for run in select(found, words)}
    staying = [cell for cell in sweep.cells if cell.directory not in chosen]
    users = {directory: cell for cell in staying for directory in _needs(cell, sweep)}
    stages = {stage.directory for stage in sweep.stages}
    gone = [run for run in found if run.entry.directory in chosen | (stages - users.keys())]
    for run in gone:
        if run.entry.directory in users:
            raise UserError(f"{run.entry.label}: {users[run.entry.directory].label} needs it; remove that cell too")
        if run.status.state in ACTIVE and not (run.is_to_come and not RunDirectory(run.path).alive):
            raise UserError(f"{run.entry.label}: is {run.status.state}; cancel it first")
    return gone


def _needs(entry: Entry, sweep: Sweep) -> Iterator[str]:
    """Yield the directories of the runs that a run waits for, and of those that they wait for."""
    known = {other.directory: other for other in (*sweep.stages, *sweep.cells)}
    for directory in entry.stages:
        yield directory
        if directory in known:
            yield from _needs(known[directory], sweep)


def described(gone: Sequence[Run]) -> Iterator[str]:
    """Yield a line for each run: its label, its state and its directory."""
    for run in gone:
        step = f" at step {run.status.step}" if run.status.step else ""
        yield f"{run.entry.label}  {run.status.state}{step}  {run.path}"
