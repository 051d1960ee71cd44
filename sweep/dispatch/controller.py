"""The parent of a local job's processes, started by `python -m sweep.dispatch.controller FOLDER`.

submitit's own controller waits for every process even if another has failed, and does not record how each ended. This
one ends the others after one has failed, as srun does, and writes into the run's state which signal killed a process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import JobPaths
from submitit.local.local import Controller

GRACE_SECONDS = 60.0  # for processes to end by themselves once another has failed
POLL_SECONDS = 0.05


class LocalController(Controller):
    """Starts a job's processes and waits for them. `folder` is the run's directory of attempts."""

    def start_tasks(self) -> None:
        """Start the processes of the job, each with files for its output and its errors.

        They inherit the descriptors that hold the job's GPUs (`sweep.dispatch.devices`), so that processes that outlive
        this one keep them. Python makes other descriptors such that no process inherits them.
        """
        self.open_files()
        for rank in range(self.ntasks):
            place = {"LOCALID": str(rank), "GLOBALID": str(rank), "JOB_ID": self.pid}
            started = subprocess.Popen(
                self.command,
                env={**os.environ, **{f"SUBMITIT_LOCAL_{name}": value for name, value in place.items()}},
                stdout=self.stdouts[rank],
                stderr=self.stderrs[rank],
                close_fds=False,
            )
            self.tasks.append(started)

    def open_files(self) -> None:
        """Open the files for the output and the errors of each process."""
        self.folder.mkdir(exist_ok=True)
        paths = [JobPaths(self.folder, self.pid, rank) for rank in range(self.ntasks)]
        self.stdouts, self.stderrs = ([getattr(p, kind).open("a") for p in paths] for kind in ("stdout", "stderr"))

    def wait(self, freq: int = 24) -> list[int]:
        """Wait until all processes have ended. Return their exit codes; -N for one that the signal N killed."""
        failed: tuple[int, int, float] | None = None  # the first rank to fail, its code, and when
        while None in (seen := [task.poll() for task in self.tasks]):
            failed = failed or _first_failure(seen)
            # A stage that has begun catches SIGTERM. If it killed a process, the job had not begun: end the others.
            if -signal.SIGTERM in seen or (failed and time.monotonic() - failed[2] > GRACE_SECONDS):
                for task in self.tasks:
                    task.kill()
            time.sleep(POLL_SECONDS)
        codes = [code for code in seen if code is not None]  # all of them, by now
        failed = failed or _first_failure(codes)
        if failed and failed[1] < 0:
            self._record_death(failed[0], -failed[1], codes)
        return codes

    def _record_death(self, rank: int, number: int, codes: list[int]) -> None:
        """Write into the run's state what killed a process; the failures of the other processes followed from it.

        If the process had written no state, the message goes into its error file.
        """
        from sweep.run.directory import RunDirectory  # not while the job starts: this takes as long as all the rest
        from sweep.run.ending import killed_by, last_words
        from sweep.run.ranks import STALLED_EXIT
        from sweep.run.state import State

        run = RunDirectory(self.folder.parent)
        written = run.read_state()
        if written.pid not in [task.pid for task in self.tasks]:
            self.stderrs[rank].write(f"{killed_by(number)}\n")
        elif STALLED_EXIT not in codes and written.state in (State.RUNNING, State.FAILED):
            who = f"rank {rank} was " if len(codes) > 1 else ""
            how = last_words([Path(self.stderrs[rank].name)], f"0:{number}")
            run.write_state(state=State.INTERRUPTED, note=f"{who}{how}", error=None)


def _first_failure(codes: Sequence[int | None]) -> tuple[int, int, float] | None:
    return next(((rank, code, time.monotonic()) for rank, code in enumerate(codes) if code), None)


class LocalExecutor(submitit.LocalExecutor):
    """submitit's executor with the controller above.

    `starts` starts a controller, given a folder and the variables to add to the environment.
    """

    def __init__(self, folder: Path, starts: Callable[[Path, dict[str, str]], Any]) -> None:
        super().__init__(folder)
        self._starts = starts

    def _submit_command(self, command: str) -> submitit.LocalJob:
        count = self._num_tasks()
        settings = {
            "NTASKS": str(count),
            "COMMAND": command,
            "TIMEOUT_S": "0",  # submitit's controller reads this and the next; a job here has no time limit
            "SIGNAL_DELAY_S": "0",
            "NODEID": "0",
            "JOB_NUM_NODES": "1",
            "WITH_SHELL": "",
        }
        environment = {f"SUBMITIT_LOCAL_{name}": value for name, value in settings.items()}
        environment |= {"SUBMITIT_EXECUTOR": "local", "SUBMITIT_STDERR_TO_STDOUT": ""}
        process = self._starts(Path(self.folder), environment)
        return submitit.LocalJob(self.folder, str(process.pid), tasks=list(range(count)), process=process)


def start_controller(folder: Path, environment: dict[str, str], inherited: Sequence[int] = ()) -> subprocess.Popen:
    """Start a controller in a new Python process, which inherits these file descriptors."""
    command = [sys.executable, "-m", "sweep.dispatch.controller", str(folder)]
    return subprocess.Popen(command, env={**os.environ, **environment}, pass_fds=inherited)


if __name__ == "__main__":
    LocalController(Path(sys.argv[1])).run()
