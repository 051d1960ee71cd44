"""Slurm's commands, as far as dispatch needs them. Each fails with Slurm's own words."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sweep.errors import UserError

# Slurm's states of a job, as they matter here.
WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"}
UNDER_WAY = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING", "STAGE_OUT"}


@dataclass(frozen=True)
class JobView:
    """A job as Slurm tells it; of an array, one element."""

    id: str
    state: str
    reason: str = ""
    comment: str = ""

    @property
    def alive(self) -> bool:
        return self.state in WAITING | UNDER_WAY


class SlurmError(UserError):
    """A command of Slurm's failed."""


def call(*command: str, stdin: str | None = None) -> str:
    """Standard output of a command.

    Raises:
        SlurmError: there is no such command, or it failed; with its words.
    """
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    except FileNotFoundError:
        raise SlurmError(
            f"{command[0]}: no such command here; run this where Slurm's commands are, or set cluster=local"
        ) from None
    if done.returncode:
        raise SlurmError(f"{command[0]}: {words(done.stderr) or f'exit code {done.returncode}'}")
    return done.stdout


def words(stderr: str) -> str:
    """What Slurm says, without the name of the command before each line."""
    lines = [re.sub(r"^\w+: (error: )?", "", line).strip() for line in stderr.splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line))


def queue() -> dict[str, JobView]:
    """Every job of this user in the queue, or not long gone from it, by id; array elements singly. One call."""
    lines = call("squeue", "--me", "--noheader", "--array", "--states=all", "--format=%i|%T|%r|%k").splitlines()
    views = [JobView(*line.split("|", 3)) for line in lines]
    return {view.id: view for view in views}


def history(ids: Iterable[str]) -> dict[str, JobView]:
    """The jobs (whole arrays, too) as accounting remembers them, by id; empty where a cluster keeps no accounts."""
    jobs = ",".join(sorted({i.partition("_")[0] for i in ids}))
    if not jobs:
        return {}
    try:
        shown = call("sacct", "--allocations", "--noheader", "--parsable2", f"--jobs={jobs}", "--format=JobID,State")
    except SlurmError:
        return {}
    found = {}
    for line in shown.splitlines():
        identifier, _, state = line.partition("|")
        for one in expand(identifier):
            found[one] = JobView(one, state.split(" ")[0])  # "CANCELLED by 1000"
    return found


def expand(identifier: str) -> list[str]:
    """`12_[1-3,7%2]` → 12_1, 12_2, 12_3, 12_7."""
    match = re.fullmatch(r"(\d+)_\[([\d,-]+)(?:%\d+)?\]", identifier)
    if not match:
        return [identifier]
    indices = []
    for part in match.group(2).split(","):
        first, _, last = part.partition("-")
        indices += range(int(first), int(last or first) + 1)
    return [f"{match.group(1)}_{index}" for index in indices]


def largest_array() -> int:
    """How many elements an array of this cluster may have."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", call("scontrol", "show", "config"), flags=re.M)
    return int(found.group(1)) if found else 1000


def cancel(ids: Sequence[str]) -> None:
    for start in range(0, len(ids), 500):
        call("scancel", *ids[start : start + 500])


def check_request(script: str) -> None:
    """Have sbatch judge a script without submitting it.

    Raises:
        SlurmError: it would be refused.
    """
    call("sbatch", "--test-only", stdin=script)
