"""End an attempt that makes no progress. It is started again, unless several attempts in a row got nowhere."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Sequence

from sweep.job.watchdog import Hang
from sweep.run.directory import RunDirectory
from sweep.run.process import send
from sweep.run.ranks import STALLED_EXIT, Beat
from sweep.run.slurm_job import SlurmJob
from sweep.run.state import Stall, State

MOST_STALLS = 3  # attempts in a row that stall without progress, after which the run ends


def since_progress(earlier: Sequence[Stall], latest: Stall) -> list[Stall]:
    """Return the latest stalls between which the run made no progress, `latest` included."""
    further = all(latest.reached > stall.reached for stall in earlier)
    return [latest] if further else [*earlier, latest]


def hopeless(stalls: Sequence[Stall]) -> str:
    """Return the message that says why a run is not started again, with the nodes of each attempt."""
    tried = "; ".join(f"attempt {s.attempt} on {', '.join(s.hosts)}" for s in stalls)
    return (
        f"{len(stalls)} attempts came no further than {max(s.reached for s in stalls)} ({tried}). The last: "
        f"{stalls[-1].reason}. The log has all stacks. Leave out nodes that stand in all of them, or raise "
        "checks.stall_minutes or checks.stall_hours where a phase does take that long; then launch again"
    )


def give_up(run: RunDirectory, job: SlurmJob | None, hang: Hang, wanted: bool) -> None:
    """Record why the attempt ends, queue its job again, and kill its processes on this machine, this process last.

    Args:
        wanted: False if a stop of the run was requested, so that the job must not be queued again.
    """
    answering = [beat for beat in hang.beats if beat.dumped]
    # These are killed first, because a process that hangs may hold the lock of the state.
    _kill([beat for beat in hang.beats if not beat.dumped])
    written = run.read_state()
    stall = Stall(
        attempt=written.attempt,
        reached=written.reached,
        hosts=sorted({beat.host for beat in hang.beats}),
        reason=hang.reason,
    )
    stalls = since_progress(written.stalls, stall)
    if len(stalls) >= MOST_STALLS:
        line = hopeless(stalls)
        run.write_last_state(state=State.FAILED, error=line, note=line, stalls=[])
    else:
        run.write_last_state(state=State.INTERRUPTED, note=hang.reason, stalls=stalls)
        if job is not None and wanted:
            _requeue(run, job, hang)
    _kill(answering)
    os._exit(STALLED_EXIT)


def _requeue(run: RunDirectory, job: SlurmJob, hang: Hang) -> None:
    try:
        job.requeue()
    except RuntimeError as error:
        run.write_state(note=f"{hang.reason}; {error}")


def _kill(beats: Sequence[Beat]) -> None:
    """Kill the processes on this machine, except this one. Slurm ends those that it started on other machines."""
    for beat in beats:
        if beat.host == platform.node() and beat.pid != os.getpid() and not beat.ended:
            send(signal.SIGKILL, beat.pid, beat.process_started)
