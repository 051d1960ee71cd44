"""Fetch what the jobs of a sweep will read, on a machine with a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from models.config import ModelConfig, is_local
from models.hub import commit_of, fetch
from sweep.data.problems import load_problems
from sweep.errors import UserError
from sweep.plan.compose import Composition, compose_cells
from sweep.plan.validate import validate


def prefetch(overrides: Sequence[str], config_dir: str | None = None) -> Iterator[str]:
    """Fill the caches with every model and data set of the sweep; yields a line for each.

    Raises:
        UserError: bad input, or something cannot be fetched; the line says what to set.
    """
    cells = compose_cells(overrides, config_dir)
    validate(cells)
    models = {cell.config.model: cell for cell in cells}
    for cell in models.values():
        yield _fetch_model(cell)
    data = {(cell.config.data, cell.config.evaluation.split): None for cell in cells}
    for problems, test in data:
        counts = ", ".join(f"{len(load_problems(problems, split))} {split}" for split in dict.fromkeys(("train", test)))
        yield f"data {problems.name}: {counts}"


def _fetch_model(cell: Composition) -> str:
    model: ModelConfig = cell.config.model
    if model.mini is not None:
        from models.mini.pretrain import cached_mini

        return f"model {model.name}: {cached_mini(model.family, model.mini, Path(cell.config.cache_dir).expanduser())}"
    try:
        place = fetch(model)
    except ValueError as error:
        raise UserError(f"model {model.name}: {error}") from None
    commit = commit_of(place)
    return f"model {model.name}: {place}" + (f" (commit {commit})" if commit and not is_local(model.path) else "")
