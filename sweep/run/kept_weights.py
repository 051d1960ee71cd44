"""The weights that a training keeps: those of chosen steps (`checkpoint.weights_every`) and the final ones."""

from __future__ import annotations

import re
from pathlib import Path

from sweep.run.directory import RunDirectory

_STEP = re.compile(r"step_(\d+)")


def place_of_weights(run: RunDirectory, step: int) -> Path:
    """Return the directory in which a training keeps its weights of `step`."""
    return run.weights / f"step_{step:06d}"


def kept_weights(run: RunDirectory) -> dict[int, Path]:
    """Return the directories of the weights that a training has kept so far, by step, in the order of steps."""
    found = {int(match[1]): path for path in run.weights.glob("step_*") if (match := _STEP.fullmatch(path.name))}
    step = (run.read_result() or {}).get("step")
    if step is not None and run.final.is_dir():
        found[step] = run.final
    return dict(sorted(found.items()))
