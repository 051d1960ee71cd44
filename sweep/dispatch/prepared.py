"""A process that has imported what every job needs. Jobs of the local cluster are copies of it.

Importing torch, transformers and DeepSpeed takes most of a job's start. A launch that starts several jobs does it once,
in a process of its own (`python -m sweep.dispatch.prepared`), which makes a copy of itself for each job: the copy is
the job's controller, whose processes are copies in turn. Copies compute the same as processes that import for
themselves. Copying is safe if the original ran one thread and touched no GPU. Otherwise, or if anything about it fails,
jobs import for themselves.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

from sweep.dispatch.controller import LocalController
from sweep.dispatch.imports import import_stage

STAGES = ("sweep.stages.train", "sweep.stages.baseline", "sweep.stages.label", "sweep.stages.evaluation")
READY = b"ready\n"
ANSWER_SECONDS = 60.0  # for a copy to be made; a machine may be very busy


def can_copy() -> bool:
    """Return whether this machine can copy processes safely, and notice the end of one that it did not start."""
    if sys.platform != "linux" or any(map(os.path.exists, ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))):
        return False  # a GPU's driver does not survive being copied
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


class Prepared:
    """The launch's side: it starts the process, requests copies and ends the process. Copies continue without it."""

    def __init__(self, later: Sequence[str]) -> None:
        """Start the process in the environment of a job; `later`: modules that it imports after its first copy."""
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "sweep.dispatch.prepared", *later],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert process.stdin is not None and process.stdout is not None  # both are pipes
        self._process: subprocess.Popen | None = process
        self._requests, self._answers = process.stdin, process.stdout
        self._is_ready = False

    def settled(self) -> bool:
        """Return whether there is nothing to wait for: copies can be made, or never will be."""
        if self._process is not None and not self._is_ready and _readable(self._answers, 0):
            if self._answers.readline() == READY:
                self._is_ready = True
            else:
                self.close()
        return self._is_ready or self._process is None

    def copy(self, folder: Path, environment: dict[str, str]) -> Copy | None:
        """Return a controller for the job in `folder`, with `environment` added; None if no copy can be made."""
        if self._process is None:
            return None
        try:
            self._requests.write(json.dumps([str(folder), environment]).encode() + b"\n")
        except BrokenPipeError:
            self.close()
            return None
        answer = self._answers.readline() if _readable(self._answers, ANSWER_SECONDS) else b""
        if not answer.strip():
            self.close()
            return None
        return Copy(int(answer))

    def close(self) -> None:
        """End the process; its copies continue."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class Copy:
    """A controller that is not a child of this process, with the methods that submitit calls."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle: int | None = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Return None while it runs, then 0; the run's state says how it ended."""
        if self._handle is not None and _readable(self._handle, 0):
            os.close(self._handle)
            self._handle = None
        return None if self._handle is not None else 0

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def _readable(file: IO[bytes] | int, seconds: float) -> bool:
    return bool(select.select([file], [], [], seconds)[0])


class Task:
    """A process of a job: a copy of its controller, with those methods of `subprocess.Popen` that it calls."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return None while it runs, then its exit code; a negative one is the signal that killed it."""
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process, unless it has ended."""
        self.send_signal(signal.SIGKILL)


class InTask(BaseException):
    """Raised in a new process of a job, to leave the code of the controller that it is a copy of."""


class CopyingController(LocalController):
    """The local controller in a prepared process: it copies itself instead of starting Python again."""

    def start_tasks(self) -> None:
        """Start the processes of the job, each with files for its output and its errors."""
        self.open_files()
        for rank in range(self.ntasks):
            self.tasks.append(cast(subprocess.Popen, self._task(rank)))

    def _task(self, rank: int) -> Task:
        """Start a process of the job. In that process, raise InTask."""
        # A signal that comes in between is for the controller before the copy, and for the process after it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return Task(pid)
        self.tasks = []  # those that were started before are none of its own to stop
        os.dup2(self.stdouts[rank].fileno(), 1)
        os.dup2(self.stderrs[rank].fileno(), 2)
        os.environ.update(
            SUBMITIT_LOCAL_LOCALID=str(rank), SUBMITIT_LOCAL_GLOBALID=str(rank), SUBMITIT_LOCAL_JOB_ID=self.pid
        )
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise InTask


def main(later: Sequence[str]) -> None:
    """Import, then make copies until standard input ends. A copy is a controller, or in turn a process of a job."""
    answers, terminal = os.dup(1), os.dup(2)
    for number in (1, 2):
        _point(number, os.devnull)
    # pyarrow brings an allocator that it does not use and that starts a thread; with threads nothing is copied.
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
    for stage in STAGES:
        import_stage(stage)
    if threads() > 1:
        return
    os.write(answers, READY)
    folder = _answer(list(later), answers, terminal)
    if folder is None:
        return
    is_task = False
    try:
        CopyingController(folder).run()
    except InTask:
        is_task = True
    if is_task:
        _work(folder)


def _answer(later: list[str], answers: int, terminal: int) -> Path | None:
    """Make a copy for each line of standard input.

    Returns the job's folder in a copy; None in the original, once it makes no more copies.
    """
    for line in sys.stdin:
        folder, environment = json.loads(line)
        if threads() > 1:
            return None  # no answer: from here on jobs import for themselves
        pid = os.fork()
        if pid == 0:
            _point(0, os.devnull)
            for number in (1, 2):
                os.dup2(terminal, number)
            os.close(terminal)
            os.close(answers)
            os.environ.update(environment)
            return Path(folder)
        os.write(answers, f"{pid}\n".encode())
        _bury()
        while later:
            import_stage(later.pop())
    return None


def _work(folder: Path) -> None:
    """Do the work of a process of a job, as submitit's own command does."""
    import numpy as np
    from submitit.core.submission import process_job

    np.random.seed()  # Python's own generator draws a new seed in a copy, numpy's does not
    process_job(folder)


def _bury() -> None:
    """Collect the exit codes of copies that have ended, so that the system can forget them."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def threads() -> int:
    """Return the number of threads of this process."""
    return len(os.listdir("/proc/self/task"))


def _point(number: int, place: str) -> None:
    """Make the file descriptor `number` refer to the file at `place`."""
    opened = os.open(place, os.O_RDWR)
    os.dup2(opened, number)
    os.close(opened)


if __name__ == "__main__":
    main(sys.argv[1:])
