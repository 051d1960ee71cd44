"""What a process knows of the Slurm job it runs in, and how it asks to be started again."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
from dataclasses import dataclass

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)  # each asks a job to stop; SIGUSR2: its time limit nears


@dataclass(frozen=True)
class SlurmJob:
    """The job of this process.

    `id` is ARRAY_INDEX for an element of an array: the raw id of the last element is that of the whole array, and what
    is done to it is done to every element.
    """

    id: str
    grace_seconds: float  # from SIGTERM to SIGKILL, when it is preempted; infinite where Slurm cannot be asked

    @classmethod
    def of_this_process(cls) -> SlurmJob | None:
        """None outside of a job that was submitted to Slurm."""
        if os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
            return None
        array = os.environ.get("SLURM_ARRAY_JOB_ID")
        job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]
        return cls(job, _grace_seconds(os.environ.get("SLURM_JOB_PARTITION", "")))

    def being_preempted(self) -> bool:
        """Whether Slurm has told this job to make room for another and will start it again.

        A job that was cancelled or requeued is no longer RUNNING when its SIGTERM arrives.
        """
        shown = _scontrol("show", "job", self.id)
        return "JobState=RUNNING" in shown and re.search(r"\bPreemptTime=\d", shown) is not None

    def requeue(self) -> None:
        """Have Slurm end this job and put it back into the queue.

        Raises:
            RuntimeError: Slurm will not; with its words.
        """
        try:
            done = subprocess.run(["scontrol", "requeue", self.id], capture_output=True, text=True)
        except FileNotFoundError:
            raise RuntimeError("no scontrol here, so the job cannot requeue itself: launch again") from None
        if done.returncode:
            raise RuntimeError(f"scontrol requeue {self.id}: {done.stderr.strip()}")

    def rename(self, name: str) -> None:
        """Show the job under a name of its own; not worth failing for."""
        _scontrol("update", f"JobId={self.id}", f"JobName={name}")


def _grace_seconds(partition: str) -> float:
    """The partition's grace time, and what Slurm leaves every job between the two signals."""
    shown = _scontrol("show", "partition", partition) + _scontrol("show", "config")
    found = re.findall(r"\b(?:GraceTime|KillWait)\s*=\s*(\d+)", shown)
    return float(sum(map(int, found))) if found else math.inf


def _scontrol(*arguments: str) -> str:
    try:
        return subprocess.run(["scontrol", *arguments], capture_output=True, text=True, timeout=60).stdout
    except (FileNotFoundError, subprocess.TimeoutExpired):  # a container without Slurm's tools
        return ""
