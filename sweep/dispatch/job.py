"""What submitit pickles: a stage by name and the run it works on."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

import submitit

from sweep.dispatch.imports import run_stage


@dataclass(frozen=True)
class Job:
    """Called on every process of a job."""

    module: str
    directory: Path
    meeting: Path  # where the processes of this attempt find each other

    def __call__(self) -> None:
        # submitit has its processes ignore SIGTERM. Until the stage listens there is nothing to save, so that it may
        # end the process while that is still importing.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        run_stage(self.module, self.directory, submitit.JobEnvironment(), self.meeting)
