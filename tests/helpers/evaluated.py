"""What tests ask of a sweep whose weights were evaluated."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from sweep.__main__ import main
from sweep.run.answer_places import KeptEvaluation, finished_of_training
from sweep.run.answer_reading import answers_without_texts, read_answers
from sweep.run.directory import RunDirectory
from sweep.score.evaluation import evaluation_of


def evaluate(root: Path, *words: str, code: int = 0) -> str:
    """What `python -m sweep evaluate` says; it works in this process, unless `words` name another back end."""
    said = io.StringIO()
    place = [] if any(word.startswith("cluster=") for word in words) else ["cluster=inline"]
    with contextlib.redirect_stdout(said):
        assert main(["evaluate", *words, *place, "--output-dir", str(root)]) == code, said.getvalue()
    return said.getvalue()


def cells(root: Path) -> list[RunDirectory]:
    return [RunDirectory(path) for path in sorted((root / "cells").iterdir())]


def cell(root: Path, method: str = "full", dtype: str = "float32") -> RunDirectory:
    def wanted(config) -> bool:
        return (config.tuning.method, config.model.dtype) == (method, dtype)

    (found,) = (run for run in cells(root) if wanted(run.read_config()))
    return found


def numbers(found: KeptEvaluation, samples: int) -> dict:
    """The numbers of an evaluation, from its answers."""
    return evaluation_of(answers_without_texts(found.directory, samples=samples), samples).numbers


def of(root: Path, run: RunDirectory, step: int, benchmark: str) -> list[KeptEvaluation]:
    kept = finished_of_training(root, run.path.name)
    return [one for one in kept if one.step == step and one.manifest.benchmark == benchmark]


def sampled(root: Path) -> dict[str, int]:
    """Tokens that each evaluation sampled, by its directory's name."""
    stages = [RunDirectory(path) for path in (root / "stages").iterdir()]
    return {stage.path.name: sum(one.generated for one in stage.read_state().spent) for stage in stages}


def texts(directory: Path) -> dict[tuple[str, int], str]:
    table = read_answers(directory, ["problem", "sample", "text"]).to_pylist()
    return {(row["problem"], row["sample"]): row["text"] for row in table}
