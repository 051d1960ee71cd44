"""Find a finished cell and export its model."""

from __future__ import annotations

from pathlib import Path

from models.export import export_model
from sweep.errors import UserError
from sweep.run.directory import CELLS, RunDirectory, run_directories
from sweep.run.state import State


def export_cell(root: Path, cell: str, target: Path, merge: bool) -> tuple[Path, int]:
    """Write the trained model of `cell` to `target`.

    Returns:
        the run directory it came from, and the step that its weights had reached.
    Raises:
        UserError: there is no such cell, it is not done, or `target` exists.
    """
    run = RunDirectory(find_cell(root, cell))
    written = run.read_state()
    if written.state != State.DONE or not run.final.is_dir():
        why = f"{written.state}, not done" if written.state != State.DONE else f"there is no {run.final}"
        raise UserError(f"{run.path.name}: {why}; only a finished training has a model to export")
    config = run.read_config()
    model = config.model.model_copy(update={"revision": run.model_commit or config.model.revision})
    try:
        export_model(model, config.prompt, Path(config.cache_dir).expanduser(), run.final, target, merge)
    except (FileExistsError, ValueError) as error:
        raise UserError(f"export: {error}") from None
    return run.path, written.steps


def find_cell(root: Path, cell: str) -> Path:
    """Return the run directory that `cell` names: a path, a directory's name, or the beginning of its signature.

    Raises:
        UserError: no cell of the output directory `root` goes by that name, or several do.
    """
    runs = run_directories(root, CELLS)
    known = [run.path for run in runs]
    found = [run.path for run in runs if run.path.name == cell or run.sign.startswith(cell)]
    if (Path(cell) / "config.yaml").exists():
        here = Path(cell).absolute()
        if found and found != [here]:
            raise UserError(
                f"{cell}: a run directory here, and a cell in {root}; give the whole path, {here} or {found[0]}"
            )
        return here
    if len(found) == 1:
        return found[0]
    names = "\n  ".join(p.name for p in found or known)
    wanted = "several cells match" if found else "no cell matches"
    there = f"in {root / CELLS} there are:\n  {names}" if names else f"there is none in {root / CELLS}"
    raise UserError(f"{cell}: {wanted}; {there}\n  --output-dir names another output directory")
