"""Who works on a run next: numbered claims, each of which only one launch can make, and the submissions they name.

A launch writes its submission (the intent, with an id that the job's comment has), claims each run for it, and only
then calls sbatch. Whatever dies in between, the next launch finds either a job with that comment in the queue, which it
adopts, or none, and claims anew. A job looks at its run's latest claim before it does anything else: one that
another launch has superseded ends at once, so no run is ever worked on twice. No lock is involved; creating a link
is atomic on local and network file systems alike.
"""

from __future__ import annotations

import os
import platform
import time
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sweep.errors import UserError
from sweep.run.files import read_json, write_json
from sweep.run.process import is_running, start_of

NOT_MADE = "not made"  # the outcome of an attempt that was claimed and never submitted
FOREIGN_OWNER_SECONDS = 120  # how long a launch on another machine may take from its intent to the end of its sbatch


@dataclass(frozen=True)
class Claim:
    """The `number`-th attempt at a run belongs to an index of a submission.

    `outcome`: how the attempt before ended; NOT_MADE where that one was never submitted. `request`: a digest of all
    that this attempt was to run under; "" in claims of older versions.
    """

    number: int
    submission: str
    index: int
    outcome: str
    request: str = ""


@dataclass(frozen=True)
class Submission:
    """One call of sbatch: a job array with a run for each index. `job` is its id, once known.

    `indices`: those that sbatch was given; None: all. `error`: why it was not given all, or took none. `user`: who
    submitted; "" in submissions of older versions.
    """

    id: str
    folder: str
    runs: list[str]  # directories, relative to the output directory
    modules: list[str]
    host: str
    pid: int
    process_started: float
    created: float
    job: str | None = None
    error: str | None = None
    indices: list[int] | None = None
    user: str = ""

    def element(self, index: int) -> str | None:
        """Slurm's id of the job of one run; None where it has none."""
        return self.job and (f"{self.job}_{index}" if self.indices is None or index in self.indices else None)

    def error_files(self, index: int) -> list[Path]:
        """What the processes of one run wrote to their standard error."""
        return sorted(Path(self.folder).glob(f"{self.element(index)}_*_log.err"))

    def meeting(self, name: str) -> Path:
        """The file in which the processes of a job find each other."""
        return Path(self.folder) / f"meeting-{name}.json"

    @property
    def owner_is_alive(self) -> bool:
        """Whether the launch that wrote this may still be at it."""
        if self.host != platform.node():
            return time.time() - self.created < FOREIGN_OWNER_SECONDS
        return is_running(self.pid, self.process_started)

    @property
    def under_way(self) -> bool:
        """Whether its launch may still be about to call sbatch."""
        return self.job is None and self.error is None and self.owner_is_alive

    @property
    def file(self) -> Path:
        return Path(self.folder) / "submission.json"

    def write(self, **changes) -> Submission:
        """Record the submission with `changes`, which is returned."""
        changed = replace(self, **changes)
        changed.file.parent.mkdir(parents=True, exist_ok=True)
        write_json(changed.file, asdict(changed))
        return changed


def new_submission(root: Path, user: str = "") -> Submission:
    """An intent of `user`'s, not yet written; its folder also takes the files of its jobs."""
    identifier = uuid.uuid4().hex[:12]
    return Submission(
        id=identifier,
        folder=str(root / "submissions" / identifier),
        runs=[],
        modules=[],
        host=platform.node(),
        pid=os.getpid(),
        process_started=start_of(),
        created=time.time(),
        user=user,
    )


def read_submission(root: Path, identifier: str) -> Submission:
    """The submission that a claim names.

    Raises:
        UserError: its file is gone, so that nobody can tell which job was to do the claimed runs.
    """
    file = root / "submissions" / identifier / "submission.json"
    found = read_json(file)
    if found is None:
        raise UserError(
            f"{file}: gone, and runs were claimed for it; put it back, or look that no job of it is in the queue and "
            f"delete the claims that name it: grep -l {identifier} {root}/cells/*/attempts/claim-*.json"
        )
    return Submission(**found)


def read_submissions(root: Path) -> list[Submission]:
    """Every submission of an output directory."""
    return [Submission(**read_json(file)) for file in sorted((root / "submissions").glob("*/submission.json"))]


def claims(attempts: Path) -> list[Claim]:
    """Every claim on the run whose attempts lie in the directory `attempts`, oldest first."""
    return [Claim(**read_json(path)) for path in sorted(attempts.glob("claim-*.json"))]


def latest_claim(attempts: Path) -> Claim | None:
    last = max(attempts.glob("claim-*.json"), default=None)
    return last and Claim(**read_json(last))


def claim(attempts: Path, after: Claim | None, submission: str, index: int, outcome: str, request: str = "") -> bool:
    """Claim the attempt that follows `after`; False where another launch was first."""
    attempts.mkdir(parents=True, exist_ok=True)
    mine = Claim((after.number if after else 0) + 1, submission, index, outcome, request)
    written = attempts / f".claim-{uuid.uuid4().hex}"
    write_json(written, asdict(mine))
    try:
        os.link(written, attempts / f"claim-{mine.number:04}.json")
    except FileExistsError:
        return False
    finally:
        written.unlink()
    return True
