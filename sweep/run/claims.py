"""Claims decide which launch on Slurm works on a run next, so that two launches never submit the same run.

The claims on a run are numbered, and only one launch can make the claim with a given number: claiming creates a hard
link, which is atomic on local and network file systems, so no lock is needed.

A launch first writes its submission (what it is about to submit, under an id that the job's comment will repeat), then
claims each run for that submission, and only then calls sbatch. If the launch dies in between, the next launch looks
for a job with that comment in the queue. If there is one, it adopts the job; if there is none, it claims the run anew.

A job reads its run's latest claim before it does anything else. If a later launch has claimed the run since, the job
ends at once.
"""

from __future__ import annotations

import os
import platform
import time
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sweep.errors import UserError
from sweep.run.files import read_json, record_of, write_json
from sweep.run.process import is_running, start_of

NOT_MADE = "not made"  # the outcome of an attempt that was claimed and never submitted
FOREIGN_OWNER_SECONDS = 120  # a launch on another machine may take so long from its intent to the end of its sbatch


@dataclass(frozen=True)
class Claim:
    """One attempt at a run, given to one job of a submission.

    number: counts the attempts at the run, from 1. index: which of the submission's runs it is.
    outcome: how the attempt before ended; NOT_MADE where that one was never submitted. request: a digest of all
    that this attempt was to run under; "" in claims of older versions.
    """

    number: int
    submission: str
    index: int
    outcome: str
    request: str = ""


@dataclass(frozen=True)
class Submission:
    """One call of sbatch: a job array with one index for each run. `job` is the array's id, once it is known.

    `indices`: the indices that sbatch was given; None for all. `error`: why sbatch was not given all of them, or
    accepted none. `user`: who submitted; "" in submissions of older versions.
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
        """Return Slurm's id of the job of one run; None if it has none."""
        return self.job and (f"{self.job}_{index}" if self.indices is None or index in self.indices else None)

    def error_files(self, index: int) -> list[Path]:
        """Return the files with the standard error of the processes of one run."""
        return sorted(Path(self.folder).glob(f"{self.element(index)}_*_log.err"))

    def meeting(self, name: str) -> Path:
        """Return the file in which the processes of a job exchange addresses."""
        return Path(self.folder) / f"meeting-{name}.json"

    @property
    def owner_is_alive(self) -> bool:
        """True if the launch that wrote this may still be working on it."""
        if self.host != platform.node():
            return time.time() - self.created < FOREIGN_OWNER_SECONDS
        return is_running(self.pid, self.process_started)

    @property
    def under_way(self) -> bool:
        """True if its launch may still call sbatch."""
        return self.job is None and self.error is None and self.owner_is_alive

    @property
    def file(self) -> Path:
        """The file that holds this submission."""
        return Path(self.folder) / "submission.json"

    def write(self, **changes: Any) -> Submission:
        """Write the submission with `changes`, and return the changed one."""
        changed = replace(self, **changes)
        changed.file.parent.mkdir(parents=True, exist_ok=True)
        write_json(changed.file, asdict(changed))
        return changed


def new_submission(root: Path, user: str = "") -> Submission:
    """Return a new submission of `user`, not yet written. Its folder will also hold the files of its jobs."""
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
    """Return the submission that a claim names.

    Raises:
        UserError: its file is gone, so that it cannot be known which job was to do the claimed runs.
    """
    file = root / "submissions" / identifier / "submission.json"
    found = read_json(file)
    if found is None:
        raise UserError(
            f"{file}: gone, and runs were claimed for it; put it back, or look that no job of it is in the queue and "
            f"delete the claims that name it: grep -l {identifier} {root}/cells/*/attempts/claim-*.json"
        )
    return record_of(Submission, found, file)


def read_submissions(root: Path) -> list[Submission]:
    """Return every submission of an output directory."""
    files = sorted((root / "submissions").glob("*/submission.json"))
    return [record_of(Submission, read_json(file), file) for file in files]


def claims(attempts: Path) -> list[Claim]:
    """Return every claim in `attempts`, the attempts' directory of a run, oldest first."""
    return [_claim_in(path) for path in sorted(attempts.glob("claim-*.json"))]


def latest_claim(attempts: Path) -> Claim | None:
    """Return the newest claim in `attempts`, or None."""
    last = max(attempts.glob("claim-*.json"), default=None)
    return _claim_in(last) if last else None


def _claim_in(file: Path) -> Claim:
    return record_of(Claim, read_json(file), file)


def claim(attempts: Path, after: Claim | None, submission: str, index: int, outcome: str, request: str = "") -> bool:
    """Claim the attempt that follows `after`; return False where another launch was first.

    Args:
        attempts: the run's directory of attempts.
        after: the latest claim that this launch has seen; None where there was none.
    """
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
