"""Submit to Slurm what a sweep still misses, so that no run is ever submitted twice, whoever dies in the middle."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from submitit.core.utils import FailedJobError

from sweep.dispatch import slurm
from sweep.dispatch.shapes import array_name, by_shape, executor, pieces, shares
from sweep.dispatch.states import Joined, SlurmView
from sweep.errors import UserError
from sweep.plan.task import Task
from sweep.run.claims import Submission, claim, claims, latest_claim, new_submission, read_submission
from sweep.run.directory import RunDirectory
from sweep.run.state import ACTIVE, State

SAME_FAILURES = 3  # ends of the same kind in a row, after which a run is only submitted again with --force
POLL_SECONDS = 0.5


@dataclass
class Submitted:
    """What one launch did: runs by directory."""

    jobs: dict[Path, str] = field(default_factory=dict)  # submitted now, with Slurm's ids
    adopted: list[Path] = field(default_factory=list)  # in the queue before
    hopeless: dict[Path, str] = field(default_factory=dict)  # ended the same way too often
    blocked: list[Path] = field(default_factory=list)  # need something hopeless

    @property
    def arrays(self) -> list[str]:
        return list(dict.fromkeys(j.partition("_")[0] for j in self.jobs.values()))


@dataclass(frozen=True)
class Array:
    """Runs of one shape that wait for the same runs: one call of sbatch."""

    tasks: list[Task]
    after: frozenset[Path]


def check_requests(tasks: Sequence[Task], root: Path) -> None:
    """Have Slurm judge every shape among `tasks`. Submits and writes nothing.

    Raises:
        UserError: a shape that Slurm would refuse, in its words.
    """
    for group in by_shape(tasks):
        made = executor(new_submission(root), group[0], array_name(group))
        try:
            slurm.check_request(made.script())
        except slurm.SlurmError as error:
            raise UserError(f"{group[0].label} and {len(group) - 1} more: {error}; see {_asked(group[0])}") from None


def submit(tasks: Sequence[Task], root: Path, code: Path, sweep: str, force: bool = False) -> Submitted:
    """Submit every task that is neither done nor in the queue; stages stand before what needs them.

    Raises:
        UserError: Slurm refused; what was submitted before is in the ledger, and the message says how much.
    """
    done = Submitted()
    view = SlurmView(root)
    settle(view, [t.directory for t in tasks])
    missing = {}
    for task in tasks:
        joined = view.status(task.label, task.directory, task.steps)
        outcome = _outcome(joined)
        active = joined.status.state in ACTIVE and (joined.claimed or joined.status.state == State.RUNNING)
        unmet = [d for d in task.after if d in missing or d in done.hopeless or d in done.blocked]
        # Those are neither done nor queued: a job that waits for an earlier one of theirs never starts.
        if active and not (unmet and joined.status.state == State.QUEUED):
            done.adopted.append(task.directory)
        elif joined.status.state in (State.DONE, State.REFUSED):
            continue
        elif any(d not in missing for d in unmet):
            done.blocked.append(task.directory)
        elif not force and outcome and _times_in_a_row(task.directory, outcome) >= SAME_FAILURES:
            done.hopeless[task.directory] = outcome
        else:
            missing[task.directory] = (task, joined, outcome)
    _submit_arrays(missing, root, code, sweep, done)
    return done


def settle(view: SlurmView, directories: Sequence[Path]) -> None:
    """Complete submissions whose launch died between its intent and its end; wait for launches still at it."""
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
            job = view.with_comment(submission.id)
            if job:
                submission.write(job=job)
    view.refresh()


def _outcome(joined: Joined) -> str:
    """What was wrong with the run's last attempt, as one line; empty where nothing was that could happen again."""
    status = joined.status
    if not joined.claimed or status.state not in (State.FAILED, State.TIMED_OUT, State.OUT_OF_MEMORY):
        return ""
    return f"{status.state}: {status.note}" if status.note else status.state


def _times_in_a_row(directory: Path, outcome: str) -> int:
    """How often the latest attempts ended with `outcome`, this last one included."""
    count = 1
    for earlier in reversed(claims(RunDirectory(directory).attempts)):
        if earlier.outcome != outcome:
            break
        count += 1
    return count


def _submit_arrays(missing, root: Path, code: Path, sweep: str, done: Submitted) -> None:
    tasks = [task for task, _, _ in missing.values()]
    seen = {directory: (joined, outcome) for directory, (_, joined, outcome) in missing.items()}
    if not tasks:
        return
    cluster = tasks[0].config.cluster
    arrays = _arrays(tasks, slurm.largest_array())
    at_once = shares([len(a.tasks) for a in arrays], cluster.max_parallel)
    ids: list[str] = []
    for number, (array, limit) in enumerate(zip(arrays, at_once, strict=True)):
        lane = ids[number - cluster.max_parallel] if cluster.max_parallel and number >= cluster.max_parallel else None
        try:
            job = _submit_array(array, root, code, sweep, seen, done, limit, lane)
        except slurm.SlurmError as error:
            before = f"; {len(done.jobs)} runs were submitted before it, and are in the ledger" if done.jobs else ""
            raise UserError(f"{array_name(array.tasks)}: {error}{before}; see {_asked(array.tasks[0])}") from None
        ids.append(job or lane or "")


def _arrays(tasks: list[Task], largest: int) -> list[Array]:
    """Stages before what needs them; equal shapes with equal needs share an array."""
    unsubmitted = {t.directory for t in tasks}
    groups: dict[frozenset[Path], list[Task]] = defaultdict(list)
    for task in tasks:
        groups[frozenset(task.after)].append(task)
    found, placed = [], set()
    while groups:
        ready = [needs for needs in groups if not (needs & unsubmitted) - placed]
        if not ready:
            raise ValueError(f"stages wait for one another in a circle: {sorted(unsubmitted - placed)}")
        for needs in ready:
            group = groups.pop(needs)
            found += [Array(part, needs) for shape in by_shape(group) for part in pieces(shape, largest)]
        placed = {t.directory for a in found for t in a.tasks}
    return found


def _submit_array(array: Array, root: Path, code: Path, sweep: str, seen, done: Submitted, limit, lane) -> str:
    """Intent, claims, frozen configurations, sbatch: in this order. Returns the job's id; "" where nothing was left."""
    submission = new_submission(root).write(
        runs=[str(t.directory.relative_to(root)) for t in array.tasks], modules=[t.module for t in array.tasks]
    )
    mine = {}
    for index, task in enumerate(array.tasks):
        joined, outcome = seen[task.directory]
        if claim(RunDirectory(task.directory).attempts, joined.claim, submission.id, index, outcome):
            mine[index] = task
        else:  # another launch was first
            done.adopted.append(task.directory)
    if not mine:
        submission.write(error="another launch was first")
        return ""
    for task in mine.values():
        config = task.config.model_copy(update={"name": sweep})
        RunDirectory(task.directory).freeze(config, task.signature, task.identity, task.evaluation)
    name, after = array_name([*mine.values()]), _dependency(array.after, root, done, lane)
    try:
        job = executor(submission, array.tasks[0], name, code, after, limit, indices=[*mine]).submit_array()
    except FailedJobError as error:
        job = _submitted_after_all(submission, root, slurm.words(str(error)))
    submission.write(job=job)
    done.jobs |= {task.directory: f"{job}_{index}" for index, task in mine.items()}
    return job


def _submitted_after_all(submission: Submission, root: Path, complaint: str) -> str:
    """The job that sbatch submitted although it ended with an error, if there is one.

    Raises:
        SlurmError: there is none.
    """
    view = SlurmView(root)  # fails where the controller does not answer: the next launch then looks again
    job = view.with_comment(submission.id)
    if job is None:
        submission.write(error=complaint)
        raise slurm.SlurmError(f"sbatch: {complaint}")
    return job


def _dependency(needs: frozenset[Path], root: Path, done: Submitted, lane: str | None) -> str:
    """Slurm's expression for: after all of `needs` ended well, and after the array `lane` ended at all."""
    jobs = []
    for directory in sorted(needs):
        job = done.jobs.get(directory) or (directory in done.adopted and _job_of(directory, root))
        if job:
            jobs.append(job)
    terms = [f"afterok:{':'.join(jobs)}"] if jobs else []
    return ",".join(terms + ([f"afterany:{lane}"] if lane else []))


def _job_of(directory: Path, root: Path) -> str | None:
    """The job of a run that another launch submits, once it is known."""
    settle(SlurmView(root), [directory])
    last = latest_claim(RunDirectory(directory).attempts)
    return read_submission(root, last.submission).element(last.index)


def _asked(task: Task) -> str:
    """The keys whose values Slurm judges."""
    cluster, resources = task.config.cluster, task.config.resources
    chosen = {f"cluster.{k}": getattr(cluster, k) for k in ("partition", "account", "qos", "constraint", "sbatch")}
    chosen |= {f"resources.{k}": getattr(resources, k) for k in ("gpus", "memory_gb", "hours")}
    return ", ".join(f"{k}={v}" for k, v in chosen.items() if v not in (None, {}, 0))
