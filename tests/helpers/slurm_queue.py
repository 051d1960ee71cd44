"""What Slurm says of jobs, what the runs' claims say of them, and an sbatch that does something else."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from sweep.run.claims import latest_claim, read_submission


def ask_slurm(*command: str) -> list[str]:
    """The lines a command of Slurm prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def ask_accounts(job: str, columns: str) -> str:
    """What Slurm's accounts say of a job that has ended, once they do: they hear of it some moments after the queue."""
    deadline = time.monotonic() + 60
    while True:
        found = ask_slurm("sacct", "-X", "-n", "-P", "-j", job, "-o", f"End,{columns}")
        if found and not found[0].startswith("Unknown"):
            return found[0].partition("|")[2]
        assert time.monotonic() < deadline, f"sacct says of job {job} after 60 s: {found}"
        time.sleep(0.2)


def queued(root: Path) -> list[str]:
    """Ids of the jobs of the runs under `root` that are in the queue, array elements singly."""
    lines = ask_slurm("squeue", "--me", "-h", "-r", "-o", "%i %Z")
    return [line.split()[0] for line in lines if str(root) in line]


def owned(root: Path) -> list[str | None]:
    """The job of each run, by its latest claim."""
    runs = root / "runs"
    claims = [latest_claim(p / "attempts") for p in (*(runs / "cells").iterdir(), *(runs / "stages").iterdir())]
    return [read_submission(runs, c.submission).element(c.index) for c in claims]


def sbatch_that(tmp_path: Path, script: str) -> dict[str, str]:
    """An environment whose sbatch runs `script`, in which `real` is Slurm's."""
    real = subprocess.run(["which", "sbatch"], capture_output=True, text=True, check=True).stdout.strip()
    folder = tmp_path / "bin"
    folder.mkdir()
    file = folder / "sbatch"
    file.write_text(
        f'#!/bin/bash\nreal={real}\ncase "$*" in --test-only*) exec $real "$@";; esac\n'
        f"n=$(cat {folder}/n 2>/dev/null || echo 0); echo $((n + 1)) >{folder}/n\n{script}\n"
    )
    file.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
