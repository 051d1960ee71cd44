"""Find what earlier launches left in the output directory: runs to continue, and runs of older versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from sweep.errors import UserError
from sweep.plan.signature import training_identity
from sweep.plan.task import TRAIN, Task, new_task
from sweep.run.claims import latest_claim
from sweep.run.directory import CELLS, RunDirectory, run_directories, run_directory
from sweep.run.identity import signature, stale
from sweep.run.state import State
from sweep.run.status import read_status


class Shelf:
    """The run directories of an output directory, found by signature, whatever the rest of their names is."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def _known(self) -> dict[tuple[str, str], Path]:
        return {(run.path.parent.name, run.sign): run.path for run in run_directories(self.root)}

    def directory(self, kind: str, name: str, sign: str) -> Path:
        """Return the directory of the run `sign`: the existing one, or a new one named after `name`."""
        return self._known.get((kind, sign)) or run_directory(self.root, kind, name, sign)

    @cached_property
    def outdated(self) -> dict[str, list[tuple[Path, str]]]:
        """The finished cells that an older version of the code made, by the signature that they would have today.

        Each comes with a text that says how that version differs. Cells whose records, or a file that these name, can
        no longer be read are left out.
        """
        found: dict[str, list[tuple[Path, str]]] = {}
        for path in [path for (kind, _), path in self._known.items() if kind == CELLS]:
            run = RunDirectory(path)
            try:
                difference = stale(run.identity or {})
                if not difference or run.read_state().state != State.DONE:
                    continue
                today = signature(training_identity(run.read_config()))
            except (ValidationError, UserError):
                continue
            found.setdefault(today, []).append((path, difference))
        return found


def under_another_evaluation(task: Task, needs: Sequence[Path]) -> Task | None:
    """Return the training `task` as it is frozen, if it is finished, running or queued under another evaluation.

    None if there is no such run: the task then takes the evaluation that this launch sets.

    Args:
        needs: the stages that the training itself waits for.
    """
    run = RunDirectory(task.directory)
    if run.evaluation is None or [*run.evaluations.values()] == [*task.evaluations.values()]:
        return None
    begun = run.read_state().begun
    waits = not begun and latest_claim(run.attempts) is not None
    state = read_status(task.entry, task.root).state
    if not waits and not state.at_work and state != State.DONE:
        return None
    return new_task(
        f"training of {task.label}",
        task.module,
        task.directory,
        task.root,
        run.read_config(),
        signature=task.signature,
        identity=task.identity,
        axes=task.entry.axes,
        after=needs,
        evaluations=run.evaluations,
    )


def outdated(cells: Iterable[Task], shelf: Shelf) -> list[str]:
    """Return a message for each cell that an older version of the code finished, unless `retrain` is set."""
    faults = []
    for cell in cells:
        if cell.module != TRAIN or cell.config.retrain or RunDirectory(cell.directory).read_state().begun:
            continue
        faults += [
            f"{cell.label}: finished by an older version ({difference}) in {path}; retrain=true trains it again, in a "
            "directory of its own, and leaves that one as it is"
            for path, difference in shelf.outdated.get(cell.signature, ())
        ]
    return faults
