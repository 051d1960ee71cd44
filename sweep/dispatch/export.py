"""Find a finished cell and export its model."""

from __future__ import annotations

from pathlib import Path

from models.export import export_model
from sweep.errors import UserError
from sweep.run.directory import DONE, RunDirectory


def export_cell(root: Path, cell: str, target: Path, merge: bool) -> None:
    """Write the trained model of `cell` to `target`.

    Raises:
        UserError: there is no such cell, it is not done, or `target` exists.
    """
    run = RunDirectory(find_cell(root, cell))
    state = run.read_state().get("state")
    if state != DONE or not run.final.is_dir():
        raise UserError(f"{run.path.name}: {state or 'queued'}, not done; only a finished cell has a model to export")
    config = run.read_config()
    model = config.model.model_copy(update={"revision": run.model_commit or config.model.revision})
    try:
        export_model(model, Path(config.cache_dir).expanduser(), run.final, target, merge)
    except (FileExistsError, ValueError) as error:
        raise UserError(f"export: {error}") from None


def find_cell(root: Path, cell: str) -> Path:
    """The run directory that `cell` names: a path, a directory's name, or the beginning of its signature."""
    if (Path(cell) / "config.yaml").exists():
        return Path(cell).absolute()
    known = sorted(p for p in (root / "cells").glob("*") if p.is_dir())
    found = [p for p in known if p.name == cell or p.name.rpartition("-")[2].startswith(cell)]
    if len(found) == 1:
        return found[0]
    names = "\n  ".join(p.name for p in found or known)
    wanted = "several cells match" if found else "no cell matches"
    raise UserError(f"{cell}: {wanted}; in {root / 'cells'} there are:\n  {names or 'none'}")
