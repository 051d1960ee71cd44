"""What earlier launches left in the output directory: runs that go on, and runs that no longer count as these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path

import yaml
from pydantic import ValidationError

from sweep.errors import UserError
from sweep.plan.signature import training_identity
from sweep.plan.task import TRAIN, Task
from sweep.run.claims import latest_claim
from sweep.run.directory import DONE, RUNNING, RunDirectory
from sweep.run.identity import signature, stale
from sweep.run.status import read_status


class Shelf:
    """The run directories of an output directory, found by signature whatever the rest of their names says."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def _known(self) -> dict[tuple[str, str], Path]:
        return {
            (kind, path.name.rpartition("-")[2]): path
            for kind in ("cells", "stages")
            for path in sorted((self.root / kind).glob("*-*"))
        }

    def directory(self, kind: str, name: str, sign: str) -> Path:
        """The directory of the run `sign`: the one that is there, or a new one called after `name`."""
        return self._known.get((kind, sign)) or self.root / kind / f"{name}-{sign}"

    @cached_property
    def outdated(self) -> dict[Path, str]:
        """The finished cells that an older version of the code made, each with how that version differs."""
        runs = [RunDirectory(path) for (kind, _), path in self._known.items() if kind == "cells"]
        return {r.path: d for r in runs if (d := stale(r.identity or {})) and r.read_state().get("state") == DONE}

    def outdated_as(self, cell: Task) -> Iterator[Path]:
        """Those of them that are `cell`, whatever their models are called."""
        for path in self.outdated:
            made = RunDirectory(path).identity or {}
            alike = all(made.get(key, cell.identity[key]) == cell.identity[key] for key in ("seed", "reward"))
            if alike and self._today(path) == cell.signature:
                yield path

    @cache  # noqa: B019  a shelf lives as long as one plan
    def _today(self, path: Path) -> str:
        """The signature that a run's configuration has today; \"\" where what it was made from cannot be read now."""
        try:
            return signature(training_identity(RunDirectory(path).read_config()))
        except (ValidationError, UserError, yaml.YAMLError):
            return ""


def under_another_evaluation(task: Task, needs: Sequence[Path]) -> Task | None:
    """The training `task` as it is frozen, where it is finished, running or in a queue under another evaluation.

    None where there is no such run: it then takes the evaluation that is asked for.

    Args:
        needs: the stages that the training itself waits for.
    """
    run = RunDirectory(task.directory)
    if run.evaluation in (None, task.evaluation):
        return None
    begun = bool(run.read_state())
    waits = not begun and latest_claim(run.attempts) is not None
    if not waits and read_status(task.label, task.directory, task.steps).state not in (DONE, RUNNING):
        return None
    return replace(
        task,
        label=f"training of {task.label}",
        config=run.read_config(),
        after=tuple(needs),
        evaluation=run.evaluation,
    )


def outdated(cells: Iterable[Task], shelf: Shelf) -> list[str]:
    """Why cells are not trained that an older version of the code finished, each unless `retrain` is set."""
    faults = []
    for cell in cells:
        if cell.module != TRAIN or cell.config.retrain or RunDirectory(cell.directory).read_state():
            continue
        faults += [
            f"{cell.label}: finished by an older version ({shelf.outdated[path]}) in {path}; retrain=true trains it "
            "again, in a directory of its own, and leaves that one as it is"
            for path in shelf.outdated_as(cell)
        ]
    return faults
