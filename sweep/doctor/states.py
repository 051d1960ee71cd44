"""Judge the states of runs: which do not go on by themselves, and what makes them go on."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

from sweep.config.faults import plural
from sweep.dispatch.select import Run
from sweep.doctor.finding import Finding, broken, warning
from sweep.run.directory import HEARTBEAT_SECONDS, RunDirectory
from sweep.run.process import is_running
from sweep.run.state import RunState, State

ENDED_BADLY = (State.FAILED, State.TIMED_OUT, State.OUT_OF_MEMORY, State.NODE_FAILURE)
SILENT_SECONDS = 4.0 * HEARTBEAT_SECONDS  # without a heartbeat, after which what holds a lock is no attempt
STOPPED = (State.INTERRUPTED, State.CANCELLED, State.NOT_SUBMITTED, State.BLOCKED)


def is_live(run: Run) -> bool:
    """Return whether something works on a run or soon will: its files may change at any moment."""
    return not run.status.ended and not run.is_to_come


def judge(run: Run, written: RunState, redo: str, logs: str) -> Iterator[Finding]:
    """Yield why a run does not go on.

    Args:
        written: the state that its directory holds.
        redo: the command that makes it go on. logs: the one that shows its log.
    """
    state, note = run.status.state, f" ({run.status.note})" if run.status.note else ""
    at = f" at step {run.status.step}" if run.status.step else ""
    if written.state == State.RUNNING and not is_live(run) and not RunDirectory(run.path).alive:
        seen = f"its state says running{at}, and neither process, heartbeat nor Slurm job is alive{note}"
        yield broken("run.orphan", seen, redo)
    elif state in ENDED_BADLY:
        yield broken("run.state", f"{state}{at}{note}", f"{logs} says why; then: {redo}")
    elif state == State.STALLED:
        yield warning("run.state", f"stalled{at}{note}", f"{logs} shows where; `cancel` and then: {redo}")
    elif state == State.REFUSED:
        yield warning("run.state", f"refused{at}{note}", "no command mends it: the run is impossible as it was asked")
    elif state in STOPPED:
        yield warning("run.state", f"{state}{at}{note}", redo)


def waiting(found: Sequence[Run], redo: str) -> Iterator[Finding]:
    """Yield if runs wait and nothing of the sweep is at work that would start them."""
    to_come = [run for run in found if run.is_to_come]
    if to_come and not any(is_live(run) for run in found):
        seen = f"{plural(len(to_come), 'run')} to come, and no launch that would start any is at work"
        yield warning("sweep.waiting", seen, redo, place=to_come[0].entry.label)


def foreign_lock(run: RunDirectory, written: RunState, locks: Path = Path("/proc/locks")) -> Iterator[Finding]:
    """Yield if something that is no attempt at the run holds its lock, so that none can start.

    An attempt that has just begun, or is ending, holds the lock too while the state does not name it; but it writes
    heartbeats from the moment that it has the lock.
    """
    if written.host not in (None, platform.node()) or not run.alive:
        return
    age = run.heartbeat_age()
    if age is not None and age < SILENT_SECONDS:
        return
    if written.pid and written.process_started and is_running(written.pid, written.process_started):
        return
    holder = lock_holder(run.path / "lock", locks)
    who = f"process {holder}" if holder else "an unknown process"
    seen = f"{who} holds its lock, which is not the one that its state names"
    remedy = f"look what it is (ps -f {holder}), and end it if it is no attempt at this run" if holder else "find it"
    yield warning("run.lock", seen, remedy, file=str(run.path / "lock"))


def lock_holder(file: Path, locks: Path) -> int | None:
    """Return the process that holds the lock of a file on this machine, as Linux lists it; None if it is not listed."""
    try:
        lines, inode = locks.read_text().splitlines(), file.stat().st_ino
    except OSError:
        return None
    for line in lines:
        parts = line.split()  # 1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE START END
        if len(parts) > 5 and parts[5].rpartition(":")[2] == str(inode) and parts[4].isdigit():
            return int(parts[4])
    return None
