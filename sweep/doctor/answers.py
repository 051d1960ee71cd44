"""Check the answers that evaluations of a run kept: whether they are there, whole, and what their manifests say."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

from sweep.doctor.finding import Finding, broken, warning
from sweep.doctor.records import anew, damaged
from sweep.errors import UserError
from sweep.run.answer_manifest import LOCK, Manifest, asked_questions, check_part, find_manifest, has_manifest
from sweep.run.answer_places import ANSWERS, of_model, of_training
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.run.files import NO_LOCKS
from sweep.run.identity import answers_identity, signature
from sweep.run.weights import ADAPTERS, directory_hash


def places_of(run: RunDirectory, entry: Entry) -> list[Path]:
    """Return the directories of weights whose answers belong to this run: of each step of a training, or of a model."""
    if entry.steps:
        return sorted((run.root / ANSWERS / run.path.name).glob("step_*"))
    place = place_of_result(run, entry)
    return [place] if place is not None else []


def place_of_result(run: RunDirectory, entry: Entry) -> Path | None:
    """Return where the answers lie that a run's result was computed from; None if it evaluates nothing."""
    result = run.read_result() or {}
    if entry.steps:
        return of_training(run.root, run.path.name, result["step"]) if "step" in result else None
    if "step" in result:  # an evaluation of a training's weights
        return of_training(run.root, Path(run.read_config().evaluation.weights or "").name, result["step"])
    identity = (run.identity or {}).get("model")
    return of_model(run.root, entry.model, identity) if identity and "accuracy" in result else None


def behind_result(run: RunDirectory, entry: Entry, redo: str, evaluate: str) -> Iterator[Finding]:
    """Yield each benchmark of the result whose answers are gone. Results of older versions are not based on answers.

    Args:
        redo: the command that runs a stage again. evaluate: the command that evaluates the weights of a training.
    """
    result, place = run.read_result() or {}, place_of_result(run, entry)
    if place is None or "benchmarks" not in result:
        return
    evaluations = run.evaluations
    for name in result["benchmarks"]:
        if name not in evaluations:
            continue
        sign = signature(answers_identity(evaluations[name]))
        if not any(has_manifest(path) for path in place.glob(f"*-{sign}")):
            seen = f"its result for {name} stands without the answers that it was computed from"
            remedy = evaluate if entry.steps else anew(run, redo)
            yield broken("answers.missing", seen, remedy, file=str(place / f"{name}-{sign}"))


def is_being_written(directory: Path) -> bool:
    """Return whether a process writes answers there; also True where the file system has no locks to tell."""
    try:
        with open(directory / LOCK) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return True
    return False


def whole(place: Path, redo: str) -> Iterator[Finding]:
    """Yield what is damaged or unfinished in the evaluations of some weights; every file is read."""
    for directory in sorted(path for path in place.glob("*-*") if path.is_dir()):
        if is_being_written(directory):
            continue
        manifest = None
        try:
            manifest = find_manifest(directory)
            if manifest is None:
                seen = f"an evaluation was not finished: {directory.parent.name}/{directory.name}"
                yield warning("answers.unfinished", seen, redo, file=str(directory))
                continue
            asked_questions(directory, manifest)
            for part in manifest.parts:
                check_part(directory, part)
        except UserError as error:
            if manifest is None or find_manifest(directory) == manifest:  # else it was replaced while it was read
                yield damaged("answers.damaged", error, directory)


def of_these_weights(weights: Path, directory: Path, manifest: Manifest) -> Iterator[Finding]:
    """Yield if the weights on disk are not those that answered. All of them is read."""
    if (weights / ADAPTERS).exists():
        return  # the hash in the manifest is that of the whole model
    try:
        found = directory_hash(weights)
    except UserError as error:
        yield damaged("answers.weights", error, weights)
        return
    if found != manifest.weights.hash:
        seen = f"{weights.name} holds other weights than those that answered in {directory.name}"
        remedy = f"put a copy of {weights} back, or remove {directory} and evaluate again"
        yield broken("answers.weights", seen, remedy, file=str(weights))
