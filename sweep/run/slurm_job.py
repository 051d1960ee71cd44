"""The Slurm job that this process runs in, and requests to Slurm about it."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
from dataclasses import dataclass

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)  # a job stops at each; SIGUSR2: its time limit is near


@dataclass(frozen=True)
class SlurmJob:
    """The job of this process.

    `id` is ARRAY_INDEX for an element of an array. The raw id of the last element is also that of the whole array, so a
    command with it would apply to every element.
    """

    id: str
    grace_seconds: float  # from SIGTERM to SIGKILL at a preemption; infinite if Slurm does not answer

    @classmethod
    def of_this_process(cls) -> SlurmJob | None:
        """Return the job of this process, or None outside of a job that was submitted to Slurm."""
        if os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
            return None
        array = os.environ.get("SLURM_ARRAY_JOB_ID")
        job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]
        return cls(job, _grace_seconds(os.environ.get("SLURM_JOB_PARTITION", "")))

    def being_preempted(self) -> bool:
        """Return True if Slurm is stopping this job for another one, after which it will start it again.

        A job that was cancelled or requeued is no longer RUNNING when its SIGTERM arrives.
        """
        shown = _scontrol("show", "job", self.id)
        return "JobState=RUNNING" in shown and re.search(r"\bPreemptTime=\d", shown) is not None

    def requeue(self) -> None:
        """Make Slurm end this job and put it back into the queue.

        Raises:
            RuntimeError: Slurm refuses; the message holds its error.
        """
        try:
            done = subprocess.run(["scontrol", "requeue", self.id], capture_output=True, text=True)
        except FileNotFoundError:
            raise RuntimeError("no scontrol here, so the job cannot requeue itself: launch again") from None
        if done.returncode:
            raise RuntimeError(f"scontrol requeue {self.id}: {done.stderr.strip()}")

    def rename(self, name: str) -> None:
        """Show the job under another name. A failure is ignored, because the name only helps people."""
        _scontrol("update", f"JobId={self.id}", f"JobName={name}")


def _grace_seconds(partition: str) -> float:
    """Return the partition's grace time plus the time that Slurm leaves every job between the two signals."""
    shown = _scontrol("show", "partition", partition) + _scontrol("show", "config")
    found = re.findall(r"\b(?:GraceTime|KillWait)\s*=\s*(\d+)", shown)
    return float(sum(map(int, found))) if found else math.inf


def _scontrol(*arguments: str) -> str:
    try:
        return subprocess.run(["scontrol", *arguments], capture_output=True, text=True, timeout=60).stdout
    except (FileNotFoundError, subprocess.TimeoutExpired):  # a container without Slurm's tools
        return ""
