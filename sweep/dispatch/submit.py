"""Submit to Slurm the runs that a sweep still misses. No run is submitted twice, even if a launch dies halfway."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from submitit.core.utils import FailedJobError

from sweep.dispatch import guard, slurm
from sweep.dispatch.complaints import keys_that_matter
from sweep.dispatch.shapes import ArrayExecutor, array_name, array_throttles, by_shape, executor, split_evenly
from sweep.dispatch.states import SlurmView
from sweep.errors import UserError
from sweep.plan.task import Task
from sweep.run.claims import Claim, Submission, claim, latest_claim, new_submission, read_submission
from sweep.run.directory import RunDirectory
from sweep.run.environment import write_environment
from sweep.run.state import ACTIVE, State

POLL_SECONDS = 0.5


@dataclass
class Submitted:
    """The outcome of a launch or a retry for each run, by directory."""

    jobs: dict[Path, str] = field(default_factory=dict)  # submitted now, with Slurm's ids
    adopted: dict[Path, str] = field(default_factory=dict)  # in the queue before, with the user if it is another
    hopeless: dict[Path, str] = field(default_factory=dict)  # ended the same way too often
    blocked: list[Path] = field(default_factory=list)  # need something hopeless
    left: dict[Path, str] = field(default_factory=dict)  # not submitted this time, and why

    @property
    def arrays(self) -> list[str]:
        """The job ids of the arrays that were submitted."""
        return list(dict.fromkeys(j.partition("_")[0] for j in self.jobs.values()))

    @property
    def complete(self) -> bool:
        """True if every run that was wanted is in the queue or done."""
        return not (self.hopeless or self.blocked or self.left)


@dataclass(frozen=True)
class Missing:
    """A run to submit.

    before: its latest claim; None where it has none. ended: how that attempt ended, where it may end so again.
    request: a digest of all that the next attempt will run under.
    """

    task: Task
    before: Claim | None
    ended: str
    request: str


@dataclass(frozen=True)
class Array:
    """Runs of one shape that wait for the same runs: one call of sbatch."""

    tasks: list[Task]
    after: frozenset[Path]


@dataclass(frozen=True)
class Claimed(Array):
    """An array with its submission. `mine`: the runs that no other launch claimed first, by their index in it."""

    submission: Submission
    mine: dict[int, Task]


@dataclass(frozen=True)
class Prepared:
    """A launch that has claimed its runs and written what they read, and will submit them next."""

    root: Path
    code: Path
    arrays: list[Claimed]
    outcome: Submitted


def check_requests(tasks: Sequence[Task], root: Path) -> None:
    """Let Slurm test every shape among `tasks`. Submits and writes nothing.

    Raises:
        UserError: Slurm would refuse a shape; with its message. Limits on the number of jobs are met later.
    """
    for group in by_shape(tasks):
        made = executor(new_submission(root), group[0], array_name(group))
        if (error := _judged(made)) and not error.is_submit_limit:
            more = f" and {len(group) - 1} more" if len(group) > 1 else ""
            raise UserError(f"{group[0].label}{more}: {error}{keys_that_matter(str(error), group[0].config)}")


def _judged(made: ArrayExecutor) -> slurm.SlurmError | None:
    try:
        slurm.check_request(made.script())
    except slurm.SlurmError as error:
        return error
    return None


def submit(tasks: Sequence[Task], root: Path, code: Path, sweep: str, force: bool = False) -> Submitted:
    """Submit every task that is neither done nor in the queue; stages stand before what needs them.

    Raises:
        UserError: Slurm refused; the runs submitted before are in the ledger, and the message has their number.
    """
    return submit_prepared(prepare(tasks, root, code, sweep, force))


def prepare(tasks: Sequence[Task], root: Path, code: Path, sweep: str, force: bool = False) -> Prepared:
    """Claim the runs that are neither done nor in the queue, and write what their jobs will read. Submits nothing.

    A launch that dies later leaves runs that `retry` can submit.
    """
    outcome = Submitted()
    view = SlurmView(root)
    finish_interrupted_submissions(view, [t.directory for t in tasks])
    missing: dict[Path, Missing] = {}
    for task in tasks:
        joined = view.status(task.entry)
        how, asked = guard.outcome(joined), guard.request(task, code)
        active = joined.status.state in ACTIVE and (joined.claimed or joined.status.state.at_work)
        unmet = [d for d in task.after if d in missing or d in outcome.hopeless or d in outcome.blocked]
        # Those are neither done nor queued: a job that waits for an earlier one of theirs never starts.
        if active and not (unmet and joined.status.state == State.QUEUED):
            outcome.adopted[task.directory] = joined.owner
        elif joined.status.state in (State.DONE, State.REFUSED):
            continue
        elif any(d not in missing for d in unmet):
            outcome.blocked.append(task.directory)
            if not RunDirectory(task.directory).config.exists():
                task.freeze(sweep)
        elif not force and guard.is_hopeless(task.directory, how, asked):
            outcome.hopeless[task.directory] = how
        else:
            missing[task.directory] = Missing(task, joined.claim, how, asked)
    arrays = _arrays([run.task for run in missing.values()], slurm.largest_array()) if missing else []
    return Prepared(root, code, [_claimed(array, root, sweep, missing, outcome) for array in arrays], outcome)


def _claimed(array: Array, root: Path, sweep: str, missing: dict[Path, Missing], outcome: Submitted) -> Claimed:
    """Write the submission, the environment, the claims and the frozen configurations, in this order."""
    submission = new_submission(root, slurm.user()).write(
        runs=[str(t.directory.relative_to(root)) for t in array.tasks], modules=[t.module for t in array.tasks]
    )
    env = cast(dict[str, str], array.tasks[0].config.slurm.env)  # names without a value were refused before
    write_environment(Path(submission.folder), env)
    mine = {}
    for index, task in enumerate(array.tasks):
        run = missing[task.directory]
        attempts = RunDirectory(task.directory).attempts
        if claim(attempts, run.before, submission.id, index, run.ended, run.request):
            mine[index] = task
            task.freeze(sweep)
        else:
            outcome.adopted[task.directory] = ""  # another launch was first
    return Claimed(array.tasks, array.after, submission, mine)


def finish_interrupted_submissions(view: SlurmView, directories: Sequence[Path]) -> None:
    """Find the jobs of submissions whose launch died before it recorded them; wait for those still under way.

    Args:
        directories: the runs whose latest submissions are looked up.
    """
    waited_for: dict[str, Submission] = {}
    for directory in directories:
        last = latest_claim(RunDirectory(directory).attempts)
        if last and last.submission not in waited_for:
            waited_for[last.submission] = read_submission(view.root, last.submission)
    for submission in waited_for.values():
        while submission.under_way:
            time.sleep(POLL_SECONDS)
            submission = read_submission(view.root, submission.id)
        if submission.job is None and submission.error is None:
            view.refresh()
            job = view.with_comment(submission)
            if job:
                submission.write(job=job)
    view.refresh()


def _arrays(tasks: list[Task], largest: int) -> list[Array]:
    """Group tasks into arrays, stages before what needs them. Equal shapes with equal needs share an array."""
    unsubmitted = {t.directory for t in tasks}
    groups: dict[frozenset[Path], list[Task]] = defaultdict(list)
    for task in tasks:
        groups[frozenset(task.after)].append(task)
    found: list[Array] = []
    placed: set[Path] = set()
    while groups:
        ready = [needs for needs in groups if not (needs & unsubmitted) - placed]
        if not ready:
            raise ValueError(f"stages wait for one another in a circle: {sorted(unsubmitted - placed)}")
        for needs in ready:
            group = groups.pop(needs)
            found += [Array(part, needs) for shape in by_shape(group) for part in split_evenly(shape, largest)]
        placed = {t.directory for a in found for t in a.tasks}
    return found


def submit_prepared(prepared: Prepared) -> Submitted:
    """Submit all runs, or as many as the cluster takes for now; the outcome says why the others were left.

    Raises:
        UserError: Slurm refused something for another reason.
    """
    arrays, outcome = prepared.arrays, prepared.outcome
    most = arrays[0].tasks[0].config.cluster.max_parallel if arrays else None
    at_once = array_throttles([len(a.tasks) for a in arrays], most)
    ids: list[str] = []
    full = ""  # Slurm's message when it took no more; the next array would get the same
    for number, (array, limit) in enumerate(zip(arrays, at_once, strict=True)):
        lane = ids[number - most] if most and number >= most else ""
        try:
            job, full = _submit_array(array, prepared, limit, lane) if not full else ("", full)
        except slurm.SlurmError as error:
            for rest in arrays[number + 1 :]:
                rest.submission.write(error=str(error))
            before = (
                f"; {len(outcome.jobs)} runs were submitted before it, and are in the ledger" if outcome.jobs else ""
            )
            keys = keys_that_matter(str(error), array.tasks[0].config)
            raise UserError(f"{array_name(array.tasks)}: {error}{before}{keys}") from None
        if full and not job:
            _leave(array, [*array.mine], full, outcome)
        ids.append(job or lane)
    return outcome


def _submit_array(array: Claimed, prepared: Prepared, limit: int | None, lane: str) -> tuple[str, str]:
    """Call sbatch for as many runs as it takes.

    Returns:
        the job's id, "" where there is none; and sbatch's message about more runs, "" if it took all.
    """
    root, outcome = prepared.root, prepared.outcome
    if not array.mine:
        array.submission.write(error="another launch was first")
        return "", ""
    jobs = _jobs_of(array.after, root, outcome)
    known = [job for job in jobs.values() if job is not None]
    if missed := [d for d, job in jobs.items() if job is None]:
        _leave(array, [*array.mine], f"waits for {missed[0].name}, which is not in the queue", outcome)
        return "", ""
    name, after = array_name([*array.mine.values()]), _dependency(known, lane)

    def made(indices: Sequence[int]) -> ArrayExecutor:
        """Return the executor for these runs of the array."""
        return executor(array.submission, array.tasks[0], name, prepared.code, after, limit, indices)

    def too_many(indices: Sequence[int]) -> str:
        """Return the message of Slurm if it takes no array of these runs for now; else ""."""
        error = _judged(made(indices))
        return str(error) if error and error.is_submit_limit else ""

    indices, full = that_fit([*array.mine], too_many)
    while indices:
        intent = array.submission.write(indices=indices, created=time.time())
        try:
            job = _submitted(made(indices), intent, root)
        except slurm.SlurmError as error:
            if not error.is_submit_limit:
                raise
            indices, full = indices[: len(indices) // 2], str(error)  # the test had not shown this limit, so try half
            continue
        intent.write(job=job)
        outcome.jobs |= {array.mine[index].directory: f"{job}_{index}" for index in indices}
        _leave(replace(array, submission=intent), [i for i in array.mine if i not in indices], full, outcome, job=job)
        return job, full
    return "", full


def _leave(array: Claimed, indices: list[int], why: str, outcome: Submitted, **changes: Any) -> None:
    if indices:
        outcome.left |= {array.mine[index].directory: why for index in indices}
        array.submission.write(error=why, **changes)


def that_fit(indices: list[int], too_many: Callable[[Sequence[int]], str]) -> tuple[list[int], str]:
    """Return the longest beginning of `indices` that is not too many, and the message about a longer one, if any."""
    said = too_many(indices)
    if not said:
        return indices, ""
    fits, exceeds = 0, len(indices)
    while exceeds - fits > 1:
        middle = (fits + exceeds) // 2
        complaint = too_many(indices[:middle])
        fits, exceeds, said = (fits, middle, complaint) if complaint else (middle, exceeds, said)
    return indices[:fits], said


def _submitted(made: ArrayExecutor, submission: Submission, root: Path) -> str:
    """Submit an array and return its job, even if sbatch ended with an error after it had submitted it.

    Raises:
        SlurmError: there is none.
    """
    try:
        return made.submit_runs()
    except FailedJobError as error:
        complaint = slurm.error_text(str(error))
    # This fails where the controller does not answer: whether there is a job is then for the next launch to find out.
    job = SlurmView(root).with_comment(submission)
    if job is None:
        submission.write(error=complaint)
        raise slurm.SlurmError(f"sbatch: {complaint}")
    return job


def _jobs_of(needs: frozenset[Path], root: Path, outcome: Submitted) -> dict[Path, str | None]:
    """Return the jobs of those of `needs` that are not done yet; None for a run without a job."""
    waiting = [d for d in sorted(needs) if d in outcome.jobs or d in outcome.adopted or d in outcome.left]
    return {d: outcome.jobs.get(d) or (_job_of(d, root) if d in outcome.adopted else None) for d in waiting}


def _dependency(jobs: Sequence[str], lane: str) -> str:
    """Return Slurm's dependency: after all of `jobs` ended well, and after the array `lane` ended in any way."""
    return ",".join([f"afterok:{':'.join(jobs)}"] * bool(jobs) + [f"afterany:{lane}"] * bool(lane))


def _job_of(directory: Path, root: Path) -> str | None:
    """Return the job of a run that another launch submits, once it is known; None if it has none."""
    finish_interrupted_submissions(SlurmView(root), [directory])
    last = latest_claim(RunDirectory(directory).attempts)
    return read_submission(root, last.submission).element(last.index) if last else None
