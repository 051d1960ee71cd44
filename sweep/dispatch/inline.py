"""The queue of `cluster=inline`: each run executes in this very process, so that a breakpoint in it works.

An attempt changes the process (signal handlers, the log, torch's process group) and restores it at its end; see
`sweep.job.guest`.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sweep.dispatch.devices import Lease
from sweep.dispatch.imports import import_stage, run_stage
from sweep.dispatch.queue import EndedJob, Queue
from sweep.dispatch.surroundings import apart_from_any_job, changed_environment
from sweep.plan.machine import devices_of
from sweep.plan.task import Task
from sweep.run.directory import RunDirectory
from sweep.run.slurm_job import STOP_SIGNALS
from sweep.run.state import State
from sweep.run.status import Status

NOTE = "in this process"


@dataclass(frozen=True)
class Alone:
    """The place of the only process of a job."""

    global_rank: int = 0
    num_tasks: int = 1
    local_rank: int = 0


class InlineQueue(Queue):
    """Runs one task after the other. Output and the traceback of a failure go to the terminal.

    If any task asks for a GPU, the process takes one, which all tasks see: CUDA looks once in a process for GPUs. It
    keeps it until the last task has ended.

    The first Ctrl-C makes the current run save and stop, and the launch stops with it; the second one interrupts the
    run wherever it is. Leaving a debugger with `q` stops the launch, too.
    """

    def __init__(self, tasks: list[Task]) -> None:
        super().__init__(tasks, max_parallel=1)
        self._mine: list[Lease] | None = None

    def run(self, watch: Callable[[list[Status]], None], *pause: Callable[[float], object]) -> list[Status]:
        """Run the tasks as `Queue.run` does. `watch` is also called when a task begins."""
        self._show = watch
        return super().run(watch, *pause)

    def _devices_of(self, task: Task) -> int:
        return int(any(devices_of(task.config) for task in self.tasks))

    def _take(self, count: int) -> list[Lease] | None:
        if self._mine is None:
            self._mine = super()._take(count)
        return None if self._mine is None else []  # a task gives back what it is given, and this stays

    def _start(self, task: Task, status: Status, leases: Sequence[Lease] = ()) -> Status:
        begun = super()._start(task, status, leases)
        return self._status(task, []) if task.directory in self._jobs else begun  # it has ended by now

    def close(self) -> None:
        """Give back the GPU of this process."""
        for lease in self._mine or []:
            lease.close()

    def _submit(self, task: Task, _: Sequence[Lease]) -> EndedJob:
        """Work on the task until it has ended."""
        changes = {"TOKENIZERS_PARALLELISM": "false", **self.devices.environment(self._mine or [])}
        with apart_from_any_job(), changed_environment(changes):
            import_stage(task.module)  # takes seconds, in which an interruption is only noted
            with _stop_signals_wait():
                if not self.stopping:
                    self._work_on(task)
        return EndedJob()

    def _work_on(self, task: Task) -> None:
        run = RunDirectory(task.directory)
        earlier = run.read_state().attempt
        self._show([Status(task.entry, State.RUNNING, note=NOTE)])
        try:
            run_stage(task.module, task.directory, Alone(), run.meeting())
        except Exception:  # a failed run does not end the launch: the other cells go on
            written = run.read_state()
            if written.attempt == earlier or written.state != State.FAILED:
                raise  # the attempt has neither recorded nor shown it
        finally:
            gc.collect()  # the model and its optimiser refer to each other
        self.stopping |= run.read_state().state == State.INTERRUPTED


@contextmanager
def _stop_signals_wait() -> Iterator[None]:
    """Hold back the signals that request a stop until the stage catches them; the stage then unblocks them itself."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
