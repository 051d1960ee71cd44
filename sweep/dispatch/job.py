"""The object that submitit pickles: the name of a stage, and the run that it works on."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

import submitit

from sweep.dispatch.imports import run_stage


@dataclass(frozen=True)
class Job:
    """The work of a job. submitit calls it on every process."""

    module: str
    directory: Path
    meeting: Path  # where the processes of this attempt find each other

    def __call__(self) -> None:
        # submitit makes its processes ignore SIGTERM. Until the stage catches it there is nothing to save, so it may
        # end the process during the imports.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        run_stage(self.module, self.directory, submitit.JobEnvironment(), self.meeting)
