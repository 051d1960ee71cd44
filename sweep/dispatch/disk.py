"""Find the files of an output directory that are no longer needed, and delete them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sweep.dispatch.states import statuses
from sweep.run.answer_places import ANSWERS
from sweep.run.checkpoints import checkpoints, checkpoints_set_aside, damage, partials
from sweep.run.claims import Submission, latest_claim, read_submissions
from sweep.run.directory import CELLS, RunDirectory, run_directories
from sweep.run.ledger import read_sweeps
from sweep.run.provenance import code_hash
from sweep.run.state import ACTIVE, State


@dataclass(frozen=True)
class Garbage:
    """A file or directory that may be deleted, the reason, and its size in bytes."""

    path: Path
    reason: str
    size: int


def garbage(root: Path) -> list[Garbage]:
    """Return superseded checkpoints, remains of interrupted writes, and directories that belong to no sweep.

    Nothing of a run that is queued or running is ever listed.
    """
    active, done, known = _states(root)
    being_submitted = _being_submitted(root)
    active |= {root / run for submission in being_submitted for run in submission.runs}
    found = of_no_sweep(root)
    for run in run_directories(root):
        if run.path in known and run.path not in active:
            found += _within(run, run.path in done)
    used = {latest.submission for run in known if (latest := latest_claim(RunDirectory(run).attempts))}
    used |= {s.id for s in being_submitted}
    found += [(p, "submission of attempts that others followed") for p in _others(root / "submissions", used)]
    if not active:
        found += [(p, "code that no job waits for") for p in _others(root / "code", {code_hash()})]
    return [Garbage(path, reason, _size(path)) for path, reason in found]


def of_no_sweep(root: Path) -> list[tuple[Path, str]]:
    """Return the run directories that no sweep lists and nothing works on, and answers of trainings that are gone.

    Each comes with the reason. No state of a run that a sweep lists is read.
    """
    listed = {sweep.directory(entry) for sweep in read_sweeps(root) for entry in (*sweep.stages, *sweep.cells)}
    listed |= {root / run for submission in _being_submitted(root) for run in submission.runs}
    others = [run.path for run in run_directories(root) if run.path not in listed and not run.alive]
    found = [(path, "belongs to no sweep") for path in others]
    return [*found, *((place, "answers of a training that is gone") for place in _orphaned_answers(root))]


def _being_submitted(root: Path) -> list[Submission]:
    return [submission for submission in read_submissions(root) if submission.under_way]


def _states(root: Path) -> tuple[set[Path], set[Path], set[Path]]:
    """Return the runs of all sweeps that are active, those that are done, and all of them."""
    active, done, known = set(), set(), set()
    for sweep in read_sweeps(root):
        stages, cells = statuses(sweep)
        for status in (*stages, *cells):
            path = root / status.entry.directory
            known.add(path)
            if status.state == State.DONE:
                done.add(path)
            elif status.state in ACTIVE and (latest_claim(RunDirectory(path).attempts) or RunDirectory(path).alive):
                active.add(path)
    return active, done, known


def _orphaned_answers(root: Path) -> list[Path]:
    """Return the directories with answers of trainings whose run directory is gone."""
    trainings = {run.path.name for run in run_directories(root, CELLS)}
    places = [path for path in sorted((root / ANSWERS).glob("*")) if path.name not in trainings]
    return [path for path in places if any(path.glob("step_*"))]


def _within(run: RunDirectory, done: bool) -> Iterator[tuple[Path, str]]:
    config = run.read_config().checkpoint
    for partial in (
        *partials(run.checkpoints),
        *run.weights.glob(".*.partial"),
        *run.unfinished(),
        *run.attempts.glob(".claim-*"),
    ):
        yield partial, "was not finished"
    for checkpoint in checkpoints_set_aside(run.checkpoints):
        yield checkpoint, "training went back from it"
    if done and not config.resumable:
        yield from ((checkpoint, "the run is done") for checkpoint in checkpoints(run.checkpoints))
        return
    # A damaged checkpoint does not count as kept, because training could not resume from it. Damage that is only seen
    # by reading whole files is left for the next attempt to find.
    whole = [checkpoint for checkpoint in checkpoints(run.checkpoints) if damage(checkpoint, parts=0) is None]
    for checkpoint in whole[: -config.keep]:
        yield checkpoint, "a later one serves"


def _others(home: Path, kept: set[str]) -> list[Path]:
    return sorted(p for p in home.glob("*") if p.is_dir() and p.name not in kept)


def _size(path: Path) -> int:
    return sum(f.lstat().st_size for f in (path, *path.rglob("*")) if not f.is_dir())


def remove(found: list[Garbage]) -> None:
    """Delete the listed files and directories."""
    for item in found:
        shutil.rmtree(item.path) if item.path.is_dir() else item.path.unlink()
