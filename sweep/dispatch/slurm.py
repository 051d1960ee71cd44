"""Call Slurm's commands. A failed command raises SlurmError with Slurm's own message."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from sweep.dispatch.surroundings import for_commands
from sweep.errors import UserError

# Slurm's states of a job, as they matter here.
WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"}
UNDER_WAY = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING", "STAGE_OUT"}
# The messages of sbatch if an association, a QOS or the whole cluster takes no more jobs for now.
SUBMIT_LIMIT = re.compile(
    r"(Max|Grp)Submit|Resource temporarily unavailable|temporarily unable to accept job|job queue full", re.I
)


@dataclass(frozen=True)
class JobView:
    """A job, or one element of an array, as Slurm reports it."""

    id: str
    state: str
    reason: str = ""
    comment: str = ""
    exit: str = ""  # "CODE:SIGNAL", as accounting writes it

    @property
    def alive(self) -> bool:
        """True while the job waits or runs."""
        return self.state in WAITING | UNDER_WAY


class SlurmError(UserError):
    """A command of Slurm failed or is missing."""

    @property
    def is_submit_limit(self) -> bool:
        """True if Slurm would have taken fewer jobs, or would take the same ones later."""
        return SUBMIT_LIMIT.search(str(self)) is not None


def call(*command: str, stdin: str | None = None) -> str:
    """Run a command and return its standard output.

    Raises:
        SlurmError: there is no such command, or it failed; with its message.
    """
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=for_commands(os.environ))
    except FileNotFoundError:
        raise SlurmError(
            f"{command[0]}: no such command here; run this where Slurm's commands are, or set cluster=local"
        ) from None
    if done.returncode:
        raise SlurmError(f"{command[0]}: {error_text(done.stderr) or f'exit code {done.returncode}'}")
    return done.stdout


def error_text(stderr: str) -> str:
    """Return the error message of Slurm, without the name of the command before each line."""
    lines = [re.sub(r"^\w+: (error: )?", "", line).strip() for line in stderr.splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line))


def user() -> str:
    """Return the user of this process: the name if the machine has one for it, else the number."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def shows_jobs_of(name: str) -> bool:
    """Return whether Slurm lets this user see the jobs of the user `name`."""
    if name == user():
        return True
    try:
        pwd.getpwnam(name)  # squeue takes only names that this machine knows
    except KeyError:
        return False
    private = re.search(r"^PrivateData\s*=\s*(.*)", _configuration(), flags=re.M)
    return os.getuid() == 0 or private is None or "jobs" not in private.group(1).split(",")


def queue(name: str | None = None) -> dict[str, JobView]:
    """Return the jobs of a user that are in the queue, or left it not long ago, by id; array elements singly.

    This is one call of squeue. `squeue --array` is not used, because it leaves out the last of pending elements at
    equal distances.

    Args:
        name: the user; None: this one.
    """
    whose = f"--user={name}" if name else "--me"
    return _read_queue(call("squeue", whose, "--noheader", "--states=all", "--format=%i|%T|%r|%k"))


def _read_queue(shown: str) -> dict[str, JobView]:
    found: dict[str, JobView] = {}
    for line in shown.splitlines():
        identifier, bar, rest = line.partition("|")
        if not bar:  # the name of the cluster, where SLURM_CLUSTERS chooses one
            continue
        state, reason, comment = rest.split("|", 2)
        found |= {one: JobView(one, state, reason, comment) for one in expand(identifier)}
    return found


def history(ids: Iterable[str]) -> dict[str, JobView]:
    """Return jobs (whole arrays, too) from Slurm's accounting, by id; none if the cluster keeps no accounts."""
    jobs = ",".join(sorted({i.partition("_")[0] for i in ids}))
    if not jobs:
        return {}
    what = ("--allocations", "--allusers", "--noheader", "--parsable2", "--format=JobID,State,ExitCode")
    try:
        shown = call("sacct", *what, f"--jobs={jobs}")
    except SlurmError:
        return {}
    found = {}
    for line in shown.splitlines():
        identifier, state, code = line.split("|")
        for one in expand(identifier):
            found[one] = JobView(one, state.split(" ")[0], exit=code)  # "CANCELLED by 1000"
    return found


def elapsed(ids: Iterable[str]) -> dict[str, list[int]] | None:
    """Return the seconds that jobs ran, by id, one number for each time that Slurm started them.

    None if the cluster keeps no accounts.
    """
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    jobs = ",".join(sorted({one.partition("_")[0] for one in wanted}))
    what = ("--allocations", "--allusers", "--duplicates", "--noheader", "--parsable2", "--format=JobID,ElapsedRaw")
    try:
        shown = call("sacct", *what, f"--jobs={jobs}")
    except SlurmError:
        return None
    found: dict[str, list[int]] = {}
    for line in shown.splitlines():
        identifier, seconds = line.split("|")
        if identifier in wanted and seconds.isdigit():
            found.setdefault(identifier, []).append(int(seconds))
    return found


def expand(identifier: str) -> list[str]:
    """Return `12_[1-3,7,10-20:5%2]` as 12_1, 12_2, 12_3, 12_7, 12_10, 12_15, 12_20."""
    match = re.fullmatch(r"(\d+)_\[([\d,:-]+)(?:%\d+)?\]", identifier)
    if not match:
        return [identifier]
    indices: list[int] = []
    for part in match.group(2).split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        indices += range(int(first), int(last or first) + 1, int(step or 1))
    return [f"{match.group(1)}_{index}" for index in indices]


def largest_array() -> int:
    """Return how many elements an array may have on this cluster."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _configuration(), flags=re.M)
    return int(found.group(1)) if found else 1000


@cache
def _configuration() -> str:
    return call("scontrol", "show", "config")


def cancel(ids: Sequence[str]) -> None:
    """Cancel jobs, at most 500 with one call of scancel."""
    for start in range(0, len(ids), 500):
        call("scancel", *ids[start : start + 500])


def check_request(script: str) -> None:
    """Let sbatch test a script without submitting it.

    Raises:
        SlurmError: it would be refused.
    """
    call("sbatch", "--test-only", stdin=script)
