"""Join what a run's directory says with what Slurm says of its job."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.dispatch import slurm
from sweep.dispatch.slurm import JobView
from sweep.run.claims import Claim, Submission, latest_claim, read_submission
from sweep.run.directory import RunDirectory
from sweep.run.ledger import Sweep
from sweep.run.state import RunState, State
from sweep.run.status import Status, blocked_by, read_status, sweep_statuses

ENDS = {
    "TIMEOUT": State.TIMED_OUT,
    "DEADLINE": State.TIMED_OUT,
    "OUT_OF_MEMORY": State.OUT_OF_MEMORY,
    "NODE_FAIL": State.NODE_FAILURE,
    "BOOT_FAIL": State.NODE_FAILURE,
    "CANCELLED": State.CANCELLED,
    "PREEMPTED": State.INTERRUPTED,
}
SILENT_SECONDS = 300  # without a heartbeat a process that Slurm believes to run has stalled
SLOW_STEPS, SLOW_SECONDS = 20, 3600  # so has one that takes as long as 20 of its steps, and an hour


@dataclass(frozen=True)
class Joined:
    """A run's status, and the claim whose job was looked at; None for a run that no cluster was given."""

    status: Status
    claim: Claim | None

    @property
    def claimed(self) -> bool:
        return self.claim is not None


class SlurmView:
    """One look at the queue and at accounting, for any number of runs of an output directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._submissions: dict[str, Submission] = {}
        self.refresh()

    def refresh(self) -> None:
        self._queue = slurm.queue()
        self._history: dict[str, JobView] = {}
        self._asked: set[str] = set()
        self._submissions = {}

    def with_comment(self, identifier: str) -> str | None:
        """The id of the array in the queue whose comment is `identifier`."""
        return next((v.id.partition("_")[0] for v in self._queue.values() if v.comment == identifier), None)

    def submission(self, identifier: str) -> Submission:
        if identifier not in self._submissions:
            self._submissions[identifier] = read_submission(self.root, identifier)
        return self._submissions[identifier]

    def status(self, label: str, directory: Path, steps: int) -> Joined:
        """The status of one run; accounting is asked once for each array that has left the queue."""
        status, last = read_status(label, directory, steps), latest_claim(RunDirectory(directory).attempts)
        if last is None:
            return Joined(status, None)
        submission = self.submission(last.submission)
        job = submission.element(last.index)
        view = self._job(job) if job else None
        if submission.under_way:
            return Joined(replace(status, state=State.QUEUED, note="being submitted"), last)
        written = RunDirectory(directory).read_state()
        return Joined(join(replace(status, job=job or ""), view, written, _silence(directory), submission), last)

    def remember(self, jobs: list[str]) -> None:
        """Ask accounting for all of `jobs` that have left the queue, in one call."""
        gone = [job for job in jobs if job not in self._queue]
        self._history |= slurm.history(gone)
        self._asked |= {job.partition("_")[0] for job in gone}

    def _job(self, job: str) -> JobView | None:
        if job not in self._queue and job.partition("_")[0] not in self._asked:
            self.remember([job])
        remembered = self._history.get(job)
        # What accounting still takes for waiting or running has left the queue: cancelled before it began.
        return self._queue.get(job) or (remembered if remembered and not remembered.alive else None)


def _silence(directory: Path) -> tuple[float, float]:
    """Seconds since the last heartbeat, and since the state was last written."""
    run, now = RunDirectory(directory), time.time()
    return run.heartbeat_age() or 0.0, now - (run.read_state().updated or now)


def join(
    status: Status,
    job: JobView | None,
    written: RunState,
    silence: tuple[float, float],
    submission: Submission | None = None,
) -> Status:
    """One state out of two sources: the directory knows how a run ended, Slurm whether its job still is.

    Args:
        status: from the directory.
        job: Slurm's view; None where it knows no such job.
        written: what the run last wrote.
        silence: seconds since its last heartbeat and since its last step.
    """
    if status.state in (State.DONE, State.REFUSED):
        return status
    begun = written.job == status.job and bool(status.job)  # by this very job
    if job is None:
        return _gone(status, begun, submission)
    if job.state in slurm.WAITING:
        if job.reason == "DependencyNeverSatisfied":
            return replace(status, state=State.CANCELLED, note="what it waits for cannot end well any more")
        reason = "" if job.reason in ("None", "") else job.reason
        return replace(status, state=State.REQUEUED if begun else State.QUEUED, note=reason, seconds_left=None)
    if job.state in slurm.UNDER_WAY:
        if not begun:
            return replace(status, state=State.RUNNING, note="starting")
        return _running(status, written, *silence)
    if begun and written.state == State.DONE:  # and its target was raised since
        return replace(status, state=State.INTERRUPTED)
    if job.state in ENDS:
        note = status.note if begun and status.state == State.FAILED else ""
        return replace(status, state=ENDS[job.state], note=note)
    if begun and status.state in (State.FAILED, State.INTERRUPTED) and status.note != "its process is gone":
        return status
    if job.state == "COMPLETED":
        return replace(status, state=State.FAILED, note="its job ended without an error and without a result")
    return replace(status, state=State.FAILED, note=_last_words(submission, status.job) or f"Slurm says {job.state}")


def _running(status: Status, written: RunState, heartbeat_age: float, state_age: float) -> Status:
    pace = written.seconds_per_step or 0.0
    if heartbeat_age > SILENT_SECONDS:
        return replace(status, state=State.STALLED, note=f"no heartbeat for {heartbeat_age / 60:.0f} min")
    if pace and state_age > max(SLOW_SECONDS, SLOW_STEPS * pace):
        note = f"no step for {state_age / 60:.0f} min, {pace:.0f} s are usual"
        return replace(status, state=State.STALLED, note=note)
    if status.state in (State.INTERRUPTED, State.FAILED):
        return replace(status, state=State.RUNNING, note="ending" if status.state == State.FAILED else "starting again")
    save, grace = written.save_seconds, written.grace_seconds
    if save and grace is not None and save > grace:
        note = f"a checkpoint takes {save:.0f} s, preemption leaves {grace:.0f} s: it would go on from the last one"
        return replace(status, state=State.RUNNING, note=status.note or note)
    return replace(status, state=State.RUNNING)


def _gone(status: Status, begun: bool, submission: Submission | None) -> Status:
    if status.state == State.RUNNING:  # its process lives all the same: started by hand, or Slurm forgets early
        return status
    if begun:
        return replace(status, state=State.INTERRUPTED) if status.state == State.QUEUED else status
    if submission is not None and submission.error:
        return replace(status, state=State.FAILED, note=submission.error)
    return replace(status, state=State.CANCELLED, note="its job left the queue before it began")


def _last_words(submission: Submission | None, job: str) -> str:
    """The last line that any process of the job wrote to its standard error."""
    if submission is None:
        return ""
    lines = []
    for file in sorted(Path(submission.folder).glob(f"{job}_*_log.err")):
        with open(file, "rb") as handle:
            handle.seek(max(0, file.stat().st_size - 4000))
            lines += [line.strip() for line in handle.read().decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if not line.startswith(("srun:", "slurmstepd"))]
    return (errors or lines or [""])[-1]


def statuses(sweep: Sweep) -> tuple[list[Status], list[Status]]:
    """Of the stages and of the cells, with Slurm's word where a cluster has them; one look at Slurm in all."""
    entries = [*sweep.stages, *sweep.cells]
    claims = [latest_claim(RunDirectory(sweep.root / e.directory).attempts) for e in entries]
    if not any(claims):
        return sweep_statuses(sweep)
    view = SlurmView(sweep.root)
    view.remember([j for c in claims if c and (j := view.submission(c.submission).element(c.index))])
    found: dict[str, Status] = {}
    for entry in entries:
        status = view.status(entry.label, sweep.root / entry.directory, entry.steps).status
        found[entry.directory] = blocked_by([found[d] for d in entry.stages], status)
    return [found[e.directory] for e in sweep.stages], [found[e.directory] for e in sweep.cells]
