"""The local cluster: a queue over submitit's local executor, which by itself starts everything at once.

Stages go first, at most `max_parallel` processes run, and jobs that outlived a killed launcher are adopted.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import submitit

from sweep.dispatch.job import Job
from sweep.dispatch.surroundings import apart_from_any_job
from sweep.errors import UserError
from sweep.plan.fit import local_processes
from sweep.plan.task import Task
from sweep.run.config import LocalCluster
from sweep.run.directory import RunDirectory
from sweep.run.state import State
from sweep.run.status import Status, blocked_by, read_status

POLL_SECONDS = 0.5
NO_TIME_LIMIT_MINUTES = 60 * 24 * 365


class LocalQueue:
    """Runs tasks on this machine until each has ended."""

    def __init__(self, tasks: list[Task], code: Path, cluster: LocalCluster) -> None:
        self.tasks, self.code = tasks, code
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.max_parallel = local_processes(cluster)
        at_once = min(self.max_parallel, sum(_processes(t) for t in tasks if t.steps))
        asked = os.environ.get("OMP_NUM_THREADS", "")
        share = int(asked) if asked.isdigit() else cores // at_once
        self.threads = cluster.threads or max(1, share)
        self._jobs: dict[Path, submitit.Job] = {}
        self.stopping = False  # set when the launch was interrupted

    def run(self, watch: Callable[[list[Status]], None]) -> list[Status]:
        """Start what is missing, report to `watch` twice a second, return the final statuses.

        On KeyboardInterrupt running jobs are asked to stop, and waited for; a second one leaves them to it.
        """
        try:
            return self._run(watch)
        except KeyboardInterrupt:
            self.stopping = True
            return self._run(watch)

    def _run(self, watch) -> list[Status]:
        while True:
            statuses = self._statuses()
            if self.stopping:
                # Again and again: a job that is only just starting may not listen yet.
                self._ask_to_stop()
                statuses = [replace(s, note="stopping") if s.state == State.RUNNING else s for s in statuses]
            else:
                statuses = self._start_ready(statuses)
            watch(statuses)
            if all(s.ended or (self.stopping and s.state == State.QUEUED) for s in statuses):
                return statuses
            time.sleep(POLL_SECONDS)

    def _statuses(self) -> list[Status]:
        found: dict[Path, Status] = {}
        for task in self.tasks:  # stages stand before the cells that need them
            found[task.directory] = self._status(task, [found[d] for d in task.after])
        return list(found.values())

    def _status(self, task: Task, needs: list[Status]) -> Status:
        status = read_status(task.label, task.directory, task.steps)
        if status.state in (State.DONE, State.RUNNING, State.REFUSED):
            return status
        job = self._jobs.get(task.directory)
        if job is not None and not job.done():
            return replace(status, state=State.RUNNING, note="starting")
        if job is not None and status.state == State.QUEUED:
            return replace(status, state=State.FAILED, note=f"the job died before it began; see {job.paths.stderr}")
        if job is not None:
            return status
        # Whatever ended an earlier attempt, launching again is asking for another.
        note = "" if status.step == 0 else f"goes on from step {status.step}"
        return blocked_by(needs, replace(status, state=State.QUEUED, note=note))

    def _start_ready(self, statuses: list[Status]) -> list[Status]:
        by_directory = {t.directory: s for t, s in zip(self.tasks, statuses, strict=True)}
        busy = sum(_processes(t) for t in self.tasks if by_directory[t.directory].state == State.RUNNING)
        for task in self.tasks:
            ready = by_directory[task.directory].state == State.QUEUED and task.directory not in self._jobs
            ready = ready and all(by_directory[d].state == State.DONE for d in task.after)
            # A job wider than the machine still runs, alone.
            if ready and (busy == 0 or busy + _processes(task) <= self.max_parallel):
                self._jobs[task.directory] = self._submit(task)
                started = replace(by_directory[task.directory], state=State.RUNNING, note="starting")
                by_directory[task.directory] = started
                busy += _processes(task)
        return list(by_directory.values())

    def _submit(self, task: Task) -> submitit.Job:
        run = RunDirectory(task.directory)
        executor = submitit.LocalExecutor(run.attempts)
        executor.update_parameters(tasks_per_node=_processes(task), timeout_min=NO_TIME_LIMIT_MINUTES)
        with _surroundings(self.code, self.threads), apart_from_any_job():
            return executor.submit(Job(task.module, task.directory, run.meeting()))

    def _ask_to_stop(self) -> None:
        for task in self.tasks:
            status = read_status(task.label, task.directory, task.steps)
            job = self._jobs.get(task.directory)
            if job is not None and not job.done():
                with suppress(ProcessLookupError):  # it ended between the look and the signal
                    os.kill(int(job.job_id), signal.SIGTERM)  # submitit's controller, which forwards it to each process
            elif job is None and status.state == State.RUNNING:
                with suppress(UserError):  # it runs elsewhere, and goes on
                    RunDirectory(task.directory).signal(signal.SIGTERM)


def _processes(task: Task) -> int:
    return task.config.processes


@contextmanager
def _surroundings(code: Path, threads: int):
    """What a job inherits: the snapshot as working directory, its threads, and deafness to the terminal.

    Ctrl-C and a closed shell reach the whole foreground process group; submitit's controller would kill its job one
    second later. Jobs are stopped through SIGTERM alone, so that they can write a checkpoint.
    """
    changes = {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(code), os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
    }
    before = {name: os.environ.get(name) for name in changes}
    directory = os.getcwd()
    handlers = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGHUP)}
    os.environ.update(changes)
    os.chdir(code)
    try:
        yield
    finally:
        os.chdir(directory)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        for number, handler in handlers.items():
            signal.signal(number, handler)
