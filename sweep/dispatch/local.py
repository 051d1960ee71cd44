"""The local cluster's queue: each run is a job of submitit's local executor, and several run at once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import submitit

from sweep.config.cell import LocalCluster
from sweep.dispatch.controller import LocalExecutor, start_controller
from sweep.dispatch.devices import Lease
from sweep.dispatch.job import Job
from sweep.dispatch.prepared import Copy, Prepared, can_copy
from sweep.dispatch.queue import Queue, processes_of
from sweep.dispatch.surroundings import apart_from_any_job, changed_environment
from sweep.plan.machine import threads_of_a_process
from sweep.plan.task import Task
from sweep.run.directory import RunDirectory
from sweep.run.python_path import python_path
from sweep.run.state import State
from sweep.run.status import Status


class LocalQueue(Queue):
    """Runs tasks on this machine, each in processes of its own."""

    def __init__(self, tasks: list[Task], code: Path, cluster: LocalCluster) -> None:
        super().__init__(tasks, cluster.max_parallel)
        self.code = code
        trainings = [task.config for task in tasks if task.steps] or [task.config for task in tasks]  # take longest
        self.threads = threads_of_a_process(trainings, cluster)
        self._share_imports = cluster.share_imports and can_copy()
        self._prepared: Prepared | None = None  # from the first job on, where there are several

    def close(self) -> None:
        """End the process that imported for all jobs. Jobs that are copies of it continue."""
        if self._prepared is not None:
            self._prepared.close()

    def _may_start(self, statuses: list[Status]) -> bool:
        """Return whether jobs may start. If several processes are to come, one first imports for all of them.

        Jobs with GPUs import for themselves, because a GPU's driver does not survive that its process is copied.
        """
        queued = [t for t, s in zip(self.tasks, statuses, strict=True) if s.state == State.QUEUED]
        coming = sum(processes_of(task) for task in queued if not self._devices_of(task))
        if self._share_imports and self._prepared is None and coming > 1:
            tracked = any(t.config.tracking.mode == "online" for t in self.tasks)
            with _surroundings(self.code, self.threads), apart_from_any_job():
                self._prepared = Prepared(["wandb"] if tracked else [])
        return self._prepared is None or self._prepared.settled()

    def _controller(
        self, leases: Sequence[Lease], folder: Path, environment: dict[str, str]
    ) -> subprocess.Popen | Copy:
        environment = environment | self.devices.environment(leases)
        copy = None if leases or self._prepared is None else self._prepared.copy(folder, environment)
        return copy or start_controller(folder, environment, [lease.fileno() for lease in leases])

    def _submit(self, task: Task, leases: Sequence[Lease]) -> submitit.Job:
        run = RunDirectory(task.directory)
        executor = LocalExecutor(run.attempts, partial(self._controller, leases))
        executor.update_parameters(tasks_per_node=processes_of(task))
        with _surroundings(self.code, self.threads), apart_from_any_job():
            return executor.submit(Job(task.module, task.directory, run.meeting()))


@contextmanager
def _surroundings(code: Path, threads: int) -> Iterator[None]:
    """Set up a new job's environment: code snapshot as working directory, thread count, SIGINT and SIGHUP ignored.

    Ctrl-C and a closed shell reach the whole foreground process group; submitit's controller would kill its job one
    second later. Jobs are stopped through SIGTERM alone, so that they can write a checkpoint.
    """
    changes = {
        "PYTHONPATH": python_path(code),
        "OMP_NUM_THREADS": str(threads),
        # numpy starts its threads as it is imported, and a process with threads cannot be copied. Jobs hardly use them.
        "OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "1"),
        "TOKENIZERS_PARALLELISM": "false",
    }
    directory = os.getcwd()
    handlers = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGHUP)}
    os.chdir(code)
    try:
        with changed_environment(changes):
            yield
    finally:
        os.chdir(directory)
        for number, handler in handlers.items():
            signal.signal(number, handler)
