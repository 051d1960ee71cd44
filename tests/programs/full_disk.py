"""Train one cell on a small disk that gets full in one place after another, and go on each time there is room again.

    PYTHONPATH=.:tests python tests/programs/full_disk.py DISK ELSEWHERE CACHE

DISK is a small tmpfs for the output directory, ELSEWHERE takes the same training undisturbed. Prints a line of JSON for
each attempt: the place that was hit, the exit code, what the status says, and which rows are whole; the last line is
what differs from the undisturbed training. Attempts are forked from here, so that torch is imported once.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from pathlib import Path

from helpers.constants import TINY
from helpers.digests import differences, digest
from helpers.made_up_statuses import status_of
from sweep.plan.plan import plan_sweep
from sweep.run.directory import RunDirectory

RESULT = "result: "  # begins the lines that are for the test
PAGE = 4096  # what tmpfs gives out
# By what is hit: before which call the disk is filled, and how many pages are left. The answers of an evaluation come
# first. A row of metrics or two share a page; after them a state needs one for its temporary file, a checkpoint needs
# six, the final weights five.
PLACES = {
    "answers": ("train_step", 0),
    "metrics": ("_record", 0),
    "state": ("train_step", 1),
    "checkpoint": ("train_step", 5),
    "final": ("_finish", 3),
}


def fill(disk: Path, pages: int) -> None:
    """Leave so many pages of the disk."""
    with open(disk / "filler", "wb") as file:
        free = os.statvfs(disk)
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - pages * PAGE)


def attempt(run: Path, disk: Path | None = None, place: str | None = None) -> None:
    """One attempt at the run; where a place is given, the disk is filled before its second step or at its end."""
    from sweep.stages import train

    if place:
        name, pages = PLACES[place]
        original = getattr(train.Training, name)

        def full(training, *arguments):
            if name == "_finish" or training.step == 2:
                fill(disk, pages)
            return original(training, *arguments)

        setattr(train.Training, name, full)
    train.main(run, 0, 1, 0, run / "attempts" / "meeting.json")


def forked(*arguments) -> int:
    """The exit code of an attempt."""
    process = multiprocessing.get_context("fork").Process(target=attempt, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def frozen(output: Path, cache: Path) -> RunDirectory:
    """The cell, ready to be trained."""
    overrides = ["reward=random", f"output_dir={output}", f"cache_dir={cache}", "name=disk"]
    (task,) = plan_sweep([*TINY, *overrides]).cells
    run = RunDirectory(task.directory)
    run.freeze(task.config, task.signature, task.identity, task.evaluations)
    return run


def main(disk: Path, elsewhere: Path, cache: Path) -> None:
    import deepspeed  # noqa: F401  once for all processes that are forked
    import transformers  # noqa: F401

    import sweep.stages.train  # noqa: F401

    undisturbed, run = frozen(elsewhere / "runs", cache), frozen(disk / "runs", cache)
    (run.checkpoints / "partial_000009").mkdir(parents=True)  # of an earlier attempt that was cut short
    assert forked(undisturbed.path) == 0
    for place in (*PLACES, None):
        code = forked(run.path, disk, place)
        status, rows = status_of(run.path, 4), run.read_metrics()
        seen = {
            "place": place,
            "code": code,
            "state": status.state,
            "note": status.note,
            "step": status.step,
            "rows": [row["step"] for row in rows],
            "checkpoints": sorted(path.name for path in run.checkpoints.iterdir() if path.is_dir()),
            "row_cut_short": not run.metrics.read_text().endswith("\n"),
        }
        print(RESULT + json.dumps(seen))
        (disk / "filler").unlink(missing_ok=True)
    print(RESULT + json.dumps(differences(digest(undisturbed.path), digest(run.path))))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
