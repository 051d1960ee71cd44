"""Combine the state in a run's directory with Slurm's view of its job into one status."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.dispatch import slurm
from sweep.dispatch.slurm import JobView
from sweep.run.claims import Claim, Submission, latest_claim, read_submission
from sweep.run.directory import RunDirectory
from sweep.run.ending import last_words
from sweep.run.entry import Entry
from sweep.run.ledger import Sweep
from sweep.run.state import RunState, State
from sweep.run.status import Status, blocked_by, read_status, silence, stands_still, sweep_statuses

ENDS = {
    "TIMEOUT": State.TIMED_OUT,
    "DEADLINE": State.TIMED_OUT,
    "OUT_OF_MEMORY": State.OUT_OF_MEMORY,
    "NODE_FAIL": State.NODE_FAILURE,
    "BOOT_FAIL": State.NODE_FAILURE,
    "CANCELLED": State.CANCELLED,
    "PREEMPTED": State.INTERRUPTED,
}


@dataclass(frozen=True)
class Joined:
    """A run's status, and the claim whose job was looked up; None for a run that was not claimed for Slurm.

    `owner`: the user whose job it is, if that is another user; else "".
    """

    status: Status
    claim: Claim | None
    owner: str = ""

    @property
    def claimed(self) -> bool:
        """True if the run was claimed for a submission to Slurm."""
        return self.claim is not None


class SlurmView:
    """One look at the queue and at accounting, for any number of runs of an output directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.refresh()

    def refresh(self) -> None:
        """Read the queue again, and forget everything else that Slurm reported."""
        self._queue = slurm.queue()
        self._users = {slurm.user(): True}  # whose jobs were looked for, and whether Slurm shows them
        self._history: dict[str, JobView] = {}
        self._asked: set[str] = set()
        self._submissions: dict[str, Submission] = {}

    def with_comment(self, submission: Submission) -> str | None:
        """Return the id of the array in the queue whose comment has the id of the submission; None if there is none."""
        self._shows(submission.user)
        found = (v.id for v in self._queue.values() if submission.id in v.comment.split())
        return next((job.partition("_")[0] for job in found), None)

    def submission(self, identifier: str) -> Submission:
        """Return a submission with its job, even if its launch died before it could record the job."""
        if identifier not in self._submissions:
            found = read_submission(self.root, identifier)
            if found.job is None and found.error is None:
                found = replace(found, job=self.with_comment(found))
            self._submissions[identifier] = found
        return self._submissions[identifier]

    def status(self, entry: Entry) -> Joined:
        """Return the status of one run. Accounting is read once for each array that has left the queue."""
        run = RunDirectory(self.root / entry.directory)
        status, last = read_status(entry, self.root), latest_claim(run.attempts)
        if last is None:
            return Joined(_unclaimed(status, run), None)
        submission = self.submission(last.submission)
        owner = "" if submission.user in ("", slurm.user()) else submission.user
        if submission.under_way:
            return Joined(replace(status, state=State.QUEUED, note="being submitted"), last, owner)
        job = submission.element(last.index)
        if job is None:
            return Joined(_not_submitted(status, submission.error), last, owner)
        shown = self._shows(submission.user)
        view, written = self._job(job), run.read_state()
        status = replace(status, job=job)
        if view is None and not shown:
            return Joined(_hidden(status, written, owner), last, owner)

        def why_it_ended(job: JobView) -> str:
            """Return why a failed job ended, from its error files and its exit code; "" if they do not tell."""
            return last_words(submission.error_files(last.index), job.exit)

        return Joined(combine(status, view, written, silence(run), why_it_ended), last, owner)

    def remember(self, submissions: Iterable[Submission]) -> None:
        """Read from accounting all jobs of `submissions` that have left the queue, in one call."""
        jobs = []
        for submission in submissions:
            self._shows(submission.user)
            elements = (submission.element(index) for index in range(len(submission.runs)))
            jobs += [job for job in elements if job and job not in self._queue]
        self._remember(jobs)

    def _remember(self, jobs: list[str]) -> None:
        self._history |= slurm.history(jobs)
        self._asked |= {job.partition("_")[0] for job in jobs}

    def _shows(self, user: str) -> bool:
        """Return whether Slurm shows the jobs of this user. If it does, add them to the queue as seen here."""
        user = user or slurm.user()
        if user not in self._users:
            self._users[user] = slurm.shows_jobs_of(user)
            if self._users[user]:
                self._queue |= slurm.queue(user)
        return self._users[user]

    def _job(self, job: str) -> JobView | None:
        queued, array = self._queue.get(job), job.partition("_")[0]
        if queued and queued.state != "FAILED":
            return queued
        if array not in self._asked:
            self._remember([job])
        # An array that was cancelled whole before it began is remembered as one.
        remembered = self._history.get(job) or self._history.get(array)
        # A job that accounting still lists as waiting or running has left the queue: it was cancelled before it began.
        # Only accounting has the exit code of a failed job.
        return remembered if remembered and not remembered.alive else queued


def _unclaimed(status: Status, run: RunDirectory) -> Status:
    """Return the status of a run that no launch has claimed; if it belongs on Slurm, it was not submitted."""
    if status.state != State.QUEUED or (run.config.exists() and run.read_config().cluster.runs_here):
        return status
    return _not_submitted(status, None)


def _not_submitted(status: Status, why: str | None) -> Status:
    if status.state in (State.DONE, State.REFUSED) or status.state.at_work:
        return status
    return replace(status, state=State.NOT_SUBMITTED, note=why or "its launch ended before it came to that")


def _hidden(status: Status, written: RunState, owner: str) -> Status:
    """Return the status of a run whose job another user submitted, where Slurm hides the jobs of others."""
    if status.state in (State.DONE, State.REFUSED) or status.state.at_work:
        return status
    if written.job == status.job and status.state == State.FAILED:
        return status
    return replace(
        status, state=State.QUEUED, note=f"a job of {owner}'s, which Slurm does not show to you: ask {owner}"
    )


def combine(
    status: Status,
    job: JobView | None,
    written: RunState,
    silence: tuple[float, float],
    why_it_ended: Callable[[JobView], str] = lambda job: "",
) -> Status:
    """Combine two sources into one status: the directory holds how a run ended, Slurm whether its job still exists.

    Args:
        status: from the directory.
        job: Slurm's view; None if Slurm has no such job.
        written: the state that the run last wrote.
        silence: seconds since its last heartbeat and since its last step.
        why_it_ended: returns why a failed job ended; "" if nothing tells.
    """
    if status.state in (State.DONE, State.REFUSED):
        return status
    begun = written.job == status.job and bool(status.job)  # by this very job
    if job is None:
        return _gone(status, begun)
    if job.state in slurm.WAITING:
        if job.reason == "DependencyNeverSatisfied":
            return replace(status, state=State.CANCELLED, note="what it waits for cannot end well any more")
        return replace(status, state=State.REQUEUED if begun else State.QUEUED, note=_why(job), seconds_left=None)
    if job.state in slurm.UNDER_WAY:
        if not begun:
            return replace(status, state=State.RUNNING, note="starting")
        return _running(status, written, silence)
    if begun and written.state == State.DONE:  # and its target was raised since
        return replace(status, state=State.INTERRUPTED)
    if job.state in ENDS:
        note = status.note if begun and status.state == State.FAILED else ""
        return replace(status, state=ENDS[job.state], note=note)
    if begun and status.state in (State.FAILED, State.INTERRUPTED) and status.note != "its process is gone":
        return status
    if job.state == "COMPLETED":
        return replace(status, state=State.FAILED, note="its job ended without an error and without a result")
    return replace(status, state=State.FAILED, note=why_it_ended(job) or f"Slurm says {job.state}")


def _why(job: JobView) -> str:
    """Return why a job waits, and what to do if it waits for a person."""
    reason = "" if job.reason == "None" else job.reason
    if reason == "JobHeldAdmin":
        return "JobHeldAdmin: ask who runs the cluster"
    if "held" in reason.lower() or job.state in ("REQUEUE_HOLD", "SPECIAL_EXIT"):
        return f"{reason or job.state}: `scontrol release {job.id}` lets it go on"
    return reason


def _running(status: Status, written: RunState, silence: tuple[float, float]) -> Status:
    if standstill := stands_still(written, silence):
        return replace(status, state=State.STALLED, note=standstill)
    if status.state in (State.INTERRUPTED, State.FAILED):
        return replace(status, state=State.RUNNING, note="ending" if status.state == State.FAILED else "starting again")
    save, grace = written.save_seconds, written.grace_seconds
    if save and grace is not None and save > grace:
        note = f"a checkpoint takes {save:.0f} s, preemption leaves {grace:.0f} s: it would go on from the last one"
        return replace(status, state=State.RUNNING, note=status.note or note)
    return replace(status, state=State.RUNNING)


def _gone(status: Status, begun: bool) -> Status:
    if status.state.at_work:
        # Slurm no longer lists the job, but its process is alive: it was started by hand, or Slurm purged the record.
        return status
    if begun:
        return replace(status, state=State.INTERRUPTED) if status.state == State.QUEUED else status
    return replace(status, state=State.CANCELLED, note="its job left the queue before it began")


Statuses = tuple[list[Status], list[Status]]  # of the stages, and of the cells


def statuses(sweep: Sweep) -> Statuses:
    """Return the statuses of the stages and of the cells. Slurm is called only if a run was submitted to it.

    Raises:
        SlurmError: the sweep is on Slurm, and Slurm does not answer.
    """
    entries = [*sweep.stages, *sweep.cells]
    claims = [latest_claim(RunDirectory(sweep.root / e.directory).attempts) for e in entries]
    if not any(claims):
        return sweep_statuses(sweep)
    view = SlurmView(sweep.root)
    view.remember([view.submission(i) for i in dict.fromkeys(c.submission for c in claims if c)])
    found: dict[str, Status] = {}
    for entry in entries:
        status = view.status(entry).status
        found[entry.directory] = blocked_by([found[d] for d in entry.stages], status)
    return [found[e.directory] for e in sweep.stages], [found[e.directory] for e in sweep.cells]


def look(sweep: Sweep) -> tuple[Statuses, str]:
    """Return the statuses, and why Slurm did not answer; in that case they come from the run directories alone."""
    try:
        return statuses(sweep), ""
    except slurm.SlurmError as error:
        return sweep_statuses(sweep), f"Slurm does not answer, so that this is what the run directories say: {error}"
