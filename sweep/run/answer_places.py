"""Where the answers of evaluations lie in an output directory: `answers/WEIGHTS/BENCHMARK-SIGNATURE/`.

WEIGHTS is `NAME-SIGNATURE/step_N` for weights that a training reached, its run directory's name first, and
`MODEL-SIGNATURE/untrained` for a model as it was loaded. The signature of an evaluation is the same for all weights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import UserError
from sweep.run.answer_manifest import Manifest, find_manifest
from sweep.run.identity import signature, without_grading

ANSWERS = "answers"
UNTRAINED = "untrained"
_STEP = re.compile(r"step_(\d+)")


def of_training(root: Path, run_name: str, step: int) -> Path:
    """Return the directory for answers of the weights that the run in the directory `run_name` had after `step`."""
    return root / ANSWERS / run_name / f"step_{step:06d}"


def of_model(root: Path, model_name: str, model_identity: dict) -> Path:
    """Return the directory for answers of a model that was not trained here; `model_identity`: see plan.signature."""
    return root / ANSWERS / f"{model_name}-{signature(model_identity)}" / UNTRAINED


def of_benchmark(weights: Path, benchmark: str, answers_identity: dict) -> Path:
    """Return the directory for the answers to a benchmark, in the directory of some weights: an existing one if a
    benchmark of another name is the same.
    """
    sign = signature(answers_identity)
    there = sorted(weights.glob(f"*-{sign}"))
    return there[0] if there else weights / f"{benchmark}-{sign}"


@dataclass(frozen=True)
class KeptEvaluation:
    """A finished evaluation on disk. `step`: of a training; None for a model that was not trained here."""

    directory: Path
    step: int | None
    manifest: Manifest

    @property
    def sign(self) -> str:
        """The signature of the evaluation, which does not depend on the weights."""
        return self.directory.name.rpartition("-")[2]


def finished(weights: Path, damaged: list[str] | None = None) -> list[KeptEvaluation]:
    """Return the finished evaluations of some weights.

    Args:
        weights: a directory as `of_training` returns it.
        damaged: takes a message for each manifest that cannot be read, whose evaluation is then left out.
    Raises:
        UserError: a manifest cannot be read, and `damaged` is None.
    """
    match = _STEP.fullmatch(weights.name)
    step = int(match[1]) if match else None
    found = []
    for path in sorted(weights.glob("*-*")):
        try:
            manifest = find_manifest(path) if path.is_dir() else None
        except UserError as error:
            if damaged is None:
                raise
            damaged.append(str(error))
            continue
        if manifest is not None:
            found.append(KeptEvaluation(path, step, manifest))
    return found


def graded_otherwise(directory: Path, weights_hash: str, identity: dict, damaged: list[str]) -> list[KeptEvaluation]:
    """Return the finished evaluations beside `directory` whose answers belong there, too, once they are graded anew.

    Those with the fewest answers come first. An evaluation that has no more answers than `directory` is left out.

    Args:
        weights_hash, identity: of the evaluation in `directory`, which need not be there yet.
        damaged: takes a message for each manifest beside it that cannot be read, as `finished` says.
    Raises:
        UserError: the manifest of `directory` itself cannot be read.
    """
    known = find_manifest(directory)
    there = known.rows if known is not None and known.weights.hash == weights_hash else 0
    alike = [
        one
        for one in finished(directory.parent, damaged)
        if one.directory != directory
        and one.manifest.rows > there
        and one.manifest.weights.hash == weights_hash
        and without_grading(one.manifest.identity) == without_grading(identity)
    ]
    return sorted(alike, key=lambda one: one.manifest.rows)


def finished_of_training(root: Path, run_name: str, damaged: list[str] | None = None) -> list[KeptEvaluation]:
    """Return the finished evaluations of all weights of a training, by step; `damaged`: see `finished`."""
    places = sorted((root / ANSWERS / run_name).glob("step_*"))
    return [evaluated for place in places for evaluated in finished(place, damaged)]
