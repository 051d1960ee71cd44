"""Compare what a sweep recorded with Slurm: jobs that belong to no run, and hours that differ. Judging is pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sweep.dispatch import slurm
from sweep.dispatch.select import Run
from sweep.dispatch.slurm import JobView
from sweep.doctor.finding import Finding, broken, warning
from sweep.run.claims import Submission, claims, latest_claim, read_submission, read_submissions
from sweep.run.costs import Cost, duration
from sweep.run.directory import RunDirectory

START_SECONDS = 120.0  # of an attempt, from the start of its job to that of its first process, and at its end
SHARE = 0.1  # by which the hours of Slurm and of the run may differ besides


def strays(root: Path, directories: Sequence[str]) -> Iterator[Finding]:
    """Yield jobs in the queue that were submitted for a run of these `directories`, and do not belong to it now."""
    submissions = {one.id: one for one in read_submissions(root)}
    yield from judge_strays(slurm.queue(), submissions, {name: _latest(root / name) for name in directories}, root)


def _latest(path: Path) -> str | None:
    """Return the submission that a run was last claimed for; None if it was not, or is gone."""
    found = latest_claim(RunDirectory(path).attempts)
    return found.submission if found else None


def judge_strays(
    queue: Mapping[str, JobView], submissions: Mapping[str, Submission], latest: Mapping[str, str | None], root: Path
) -> Iterator[Finding]:
    """Yield jobs without a run.

    Args:
        queue: the jobs by id. submissions: by id, which is in the comment of their jobs.
        latest: for each run of the sweep, by directory, the submission that it was last claimed for.
    """
    for job, view in queue.items():
        mine = next((submissions[word] for word in view.comment.split() if word in submissions), None)
        index = job.rpartition("_")[2]
        if mine is None or not view.alive or not index.isdigit() or int(index) >= len(mine.runs):
            continue
        directory = mine.runs[int(index)]
        if directory in latest and latest[directory] != mine.id:
            why = "which another launch has claimed since" if latest[directory] else "whose claim is gone"
            seen = f"job {job} ({view.state}) was submitted for {Path(directory).name}, {why}"
            yield warning("slurm.stray_job", seen, f"scancel {job}", file=str(root / directory))
        elif not (root / directory).is_dir():
            seen = f"job {job} ({view.state}) was submitted for {Path(directory).name}, which is gone"
            yield broken("slurm.stray_job", seen, f"scancel {job}", file=str(root / directory))


def hours(root: Path, found: Sequence[Run]) -> Iterator[Finding]:
    """Yield the runs whose recorded time differs from what Slurm's accounting counts; `found`: runs that ended."""
    jobs = [(run, [*_jobs(root, run)]) for run in found]
    elapsed = slurm.elapsed([job for _, ids in jobs for job in ids])
    if elapsed is None:
        return
    for run, ids in jobs:
        counted = [seconds for job in ids for seconds in elapsed.get(job, ())]
        if counted:
            yield from (one.at(run.entry.label) for one in judge_hours(run.status.cost, ids, counted))


def _jobs(root: Path, run: Run) -> Iterator[str]:
    for claim in claims(RunDirectory(run.path).attempts):
        if job := read_submission(root, claim.submission).element(claim.index):
            yield job


def judge_hours(cost: Cost, jobs: Sequence[str], counted: Sequence[float]) -> Iterator[Finding]:
    """Yield if the time that a run recorded is not what Slurm counted for its jobs.

    Args:
        counted: seconds, one number for each start of a job.
    """
    of_slurm = sum(counted)
    if cost.unrecorded or abs(of_slurm - cost.seconds) <= START_SECONDS * len(counted) + SHARE * of_slurm:
        return
    seen = f"Slurm counts {duration(of_slurm)} for its jobs, and the run recorded {duration(cost.seconds)}"
    remedy = f"sacct --duplicates --allocations --jobs={','.join(jobs)} shows each start; count those"
    yield warning("costs.slurm", seen, remedy)
