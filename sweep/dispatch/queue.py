"""The queue of a launch on this machine: stages run first, and no more at once than there are cores and GPUs for.

submitit's local executor starts everything at once and supports no dependencies. Jobs that outlived a killed launcher
are adopted.
"""

from __future__ import annotations

import math
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import submitit

from sweep.config.faults import plural
from sweep.dispatch.devices import Devices, Lease, needed_bytes
from sweep.dispatch.room import Room
from sweep.errors import UserError
from sweep.plan.machine import cores, devices_of, gpus
from sweep.plan.task import LABEL, TRAIN, Task
from sweep.run.directory import RunDirectory
from sweep.run.ending import last_words
from sweep.run.files import try_lock
from sweep.run.ranks import latest_beat
from sweep.run.state import State
from sweep.run.status import Status, blocked_by, read_status
from sweep.run.unwritable import disk_state

ASK_AGAIN_SECONDS = 10.0
ENDING = "its process ends"  # the note of a run that has recorded its end while its process still exists
POLL_SECONDS, SECONDS_FOR_EACH = 0.5, 0.02  # between two looks: a look takes about a millisecond for each task


class Queue(ABC):
    """Runs tasks on this machine until each has ended. Subclasses define how a job is started."""

    def __init__(self, tasks: list[Task], max_parallel: int | None) -> None:
        """`max_parallel`: processes at once; None: as many as there are GPUs, or cores for jobs without."""
        self.tasks = tasks
        self.max_parallel = max_parallel
        self.devices = Devices(gpus(), needed_bytes(tasks))
        self._jobs: dict[Path, StartedJob] = {}
        self._asked: dict[Path, float] = {}  # when a run that had begun was last signalled to stop
        self._elsewhere: set[Path] = set()  # runs on other machines, which are not this launch's to stop
        self.stopping = False  # set when the launch was interrupted

    @abstractmethod
    def _submit(self, task: Task, leases: Sequence[Lease]) -> submitit.Job | EndedJob:
        """Start a job for the task, which inherits the GPUs that were taken for it."""

    def _may_start(self, statuses: list[Status]) -> bool:
        """Return whether jobs may start yet; called at every look at the runs."""
        return True

    @abstractmethod
    def close(self) -> None:
        """Release what was prepared for later jobs."""

    def run(self, watch: Callable[[list[Status]], None], pause: Callable[[float], object] = time.sleep) -> list[Status]:
        """Start the missing runs, pass the statuses to `watch` at least twice a second, and return the final ones.

        `pause` waits between two looks, for the seconds that it is given.

        The first SIGINT or SIGTERM requests that running jobs stop, and the queue waits for them; at the second it does
        not wait any longer.

        Raises:
            KeyboardInterrupt: at the second signal.
        """
        try:
            with self._listening():
                return self._run(watch, pause)
        finally:
            self.devices.release()
            self.close()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Note an interruption instead of raising it at any place in the queue: a job may just have been started."""

        def interrupt(*_: object) -> None:
            """Note the first signal; raise KeyboardInterrupt at the next."""
            if self.stopping:
                raise KeyboardInterrupt
            self.stopping = True

        before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run(self, watch: Callable[[list[Status]], None], pause: Callable[[float], object]) -> list[Status]:
        while True:
            statuses = self._statuses()
            if self.stopping:
                self.devices.release()
                statuses = [self._ask_to_stop(t, s) for t, s in zip(self.tasks, statuses, strict=True)]
            else:
                statuses = self._start_ready(statuses)
            watch(statuses)
            if all(s.ended or self._is_left(t, s) for t, s in zip(self.tasks, statuses, strict=True)):
                return statuses
            pause(min(POLL_SECONDS, SECONDS_FOR_EACH * len(self.tasks)))

    def _is_left(self, task: Task, status: Status) -> bool:
        """Return whether the launch was interrupted and need not wait for the task."""
        return self.stopping and (status.state == State.QUEUED or task.directory in self._elsewhere)

    def _statuses(self) -> list[Status]:
        found: dict[Path, Status] = {}
        for task in self.tasks:  # stages stand before the cells that need them
            found[task.directory] = self._status(task, [found[d] for d in task.after])
        return list(found.values())

    def _status(self, task: Task, needs: list[Status]) -> Status:
        status, job = read_status(task.entry, task.root), self._jobs.get(task.directory)
        if status.state.at_work or status.state in (State.DONE, State.REFUSED):
            return status
        if job is not None and not job.done():
            has_begun = RunDirectory(task.directory).read_state().attempt > job.earlier_attempts
            return replace(status, state=State.RUNNING, note=ENDING if has_begun else job.note)
        if job is not None and not self._goes_on(task, job):
            if status.state != State.QUEUED:
                return status
            if self.stopping:
                return replace(status, state=State.INTERRUPTED, note="stopped before it began")
            return replace(status, state=State.FAILED, note=_died_early(task, job))
        # However an earlier attempt ended, another launch starts a new one.
        note = "" if status.step == 0 else f"goes on from step {status.step}"
        return blocked_by(needs, replace(status, state=State.QUEUED, note=note))

    def _goes_on(self, task: Task, job: StartedJob) -> bool:
        """Return whether another job follows one that ended because it made no progress."""
        if self.stopping or not RunDirectory(task.directory).read_state().starts_again:
            return False
        job.close()
        del self._jobs[task.directory]
        return True

    def _start_ready(self, statuses: list[Status]) -> list[Status]:
        by_directory = {t.directory: s for t, s in zip(self.tasks, statuses, strict=True)}
        if not self._may_start(statuses):
            waiting = "waits while what all jobs need is imported"
            return [replace(s, note=s.note or waiting) if s.state == State.QUEUED else s for s in statuses]
        room = Room(self.max_parallel, cores())
        for task in self.tasks:
            if by_directory[task.directory].state.at_work:
                room.occupy(processes_of(task), self._devices_of(task) > 0)
        is_waiting = False  # whether a job waits for GPUs: none that comes later in the queue gets one before it
        for task in self.tasks:
            status, count = by_directory[task.directory], self._devices_of(task)
            ready = status.state == State.QUEUED and task.directory not in self._jobs
            ready = ready and all(by_directory[d].state == State.DONE for d in task.after)
            if not ready or (count and is_waiting) or not room.take(processes_of(task), count > 0):
                continue
            leases = self._take(count)
            if leases is not None:
                by_directory[task.directory] = self._start(task, status, leases)
                continue
            is_waiting = True
            room.give_back(processes_of(task), with_gpus=True)
            by_directory[task.directory] = replace(status, note=f"waits for {plural(count, 'free GPU')}")
        if not is_waiting:
            self.devices.release()
        return list(by_directory.values())

    def _devices_of(self, task: Task) -> int:
        """Return the number of GPUs that a task's job takes."""
        return devices_of(task.config)

    def _take(self, count: int) -> list[Lease] | None:
        """Take GPUs for a job; None if so many are not free."""
        return self.devices.take(count) if count else []

    def _start(self, task: Task, status: Status, leases: Sequence[Lease] = ()) -> Status:
        """Start a task, unless another launch works on it; return its new status.

        `leases`: the GPUs of its job, which this process need not hold any longer once the job has started.
        """
        try:
            return self._start_with(task, status, leases)
        finally:
            for lease in leases:
                lease.close()

    def _start_with(self, task: Task, status: Status, leases: Sequence[Lease]) -> Status:
        run = RunDirectory(task.directory)
        turn = try_lock(run.starting)
        if turn is None:
            return replace(status, state=State.RUNNING, note="being started by another launch")
        now = read_status(task.entry, task.root)
        if now.state.at_work or now.state == State.DONE:  # another launch started it since the last look
            turn.close()
            return now
        before = run.read_state()
        note = f"starting again, {before.note}" if before.starts_again else "starting"
        if leases:
            note += f" on GPU {self.devices.named(leases)}"
        self._jobs[task.directory] = StartedJob(self._submit(task, leases), turn, note, before.attempt)
        return replace(status, state=State.RUNNING, note=note)

    def _ask_to_stop(self, task: Task, status: Status) -> Status:
        """Signal a run to stop, and return its status with a note that says what is waited for.

        A run that is only starting is signalled at every look, one that has begun every ASK_AGAIN_SECONDS.
        """
        job, at_work = self._jobs.get(task.directory), status.state.at_work
        if not at_work or task.directory in self._elsewhere or status.note == ENDING:
            return status
        begun = job is None or status.note != job.note
        if time.monotonic() - self._asked.get(task.directory, -math.inf) > ASK_AGAIN_SECONDS:
            try:
                self._signal(task, job)
            except UserError as error:  # it runs on another machine, and keeps running
                self._elsewhere.add(task.directory)
                return replace(status, note=str(error))
            if begun:
                self._asked[task.directory] = time.monotonic()
        return replace(status, note=_what_is_waited_for(task) if begun else "stopping: it has only just been started")

    def _signal(self, task: Task, job: StartedJob | None) -> None:
        if job is None or job.done():
            RunDirectory(task.directory).signal(signal.SIGTERM)
        else:
            job.signal(signal.SIGTERM)


class EndedJob:
    """A job that had ended when `Queue._submit` returned it."""

    def done(self) -> bool:
        """Return True."""
        return True


@dataclass(frozen=True)
class StartedJob:
    """A job of this launch. `turn` is a lock that keeps other launches from starting the same run until it ends."""

    job: submitit.Job | EndedJob
    turn: IO
    note: str  # shown until it has begun
    earlier_attempts: int  # of the run, before this one

    def done(self) -> bool:
        """Return whether the job has ended."""
        return self.job.done()

    def signal(self, number: int) -> None:
        """Send a signal to the job's controller, which forwards SIGTERM to each process."""
        if isinstance(self.job, EndedJob):
            return
        with suppress(ProcessLookupError):  # it ended between the look and the signal
            os.kill(int(self.job.job_id), number)

    @property
    def error_file(self) -> Path | None:
        """The file of its processes' errors; None if the job had no process of its own."""
        return None if isinstance(self.job, EndedJob) else self.job.paths.stderr

    def close(self) -> None:
        """Release the lock."""
        self.turn.close()


def _what_is_waited_for(task: Task) -> str:
    ends = {TRAIN: "it finishes its step and writes a checkpoint", LABEL: "it finishes the problems that it is at"}
    beat = latest_beat(RunDirectory(task.directory).ranks)
    at = f" ({beat.phase} since {max(0.0, time.time() - beat.since):.0f} s)" if beat else ""
    return f"stopping: {ends.get(task.module, 'it ends')}{at}"


def _died_early(task: Task, job: StartedJob) -> str:
    """Return why a job ended before it wrote any state."""
    reason = disk_state(task.directory)
    if reason is None and job.error_file is not None and job.error_file.exists():
        reason = last_words([job.error_file])
    place = f"; see {job.error_file}" if job.error_file is not None else ""
    return f"the job died before it began: {reason or 'nothing tells why'}{place}"


def processes_of(task: Task) -> int:
    """Return the number of processes of a task's job."""
    return task.config.processes
