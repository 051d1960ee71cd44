"""Fetch what the jobs of a sweep will read, on a machine with a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from models.config import ModelConfig, is_local
from models.hub import commit_of, fetch
from sweep.config.evaluation import DataBenchmark
from sweep.data.benchmarks import load_benchmark
from sweep.data.problems import describe
from sweep.errors import UserError
from sweep.plan.compose import Composition
from sweep.plan.plan import checked_cells
from sweep.plan.validate import benchmarks, problem_sets


def prefetch(overrides: Sequence[str], config_dir: str | None = None) -> Iterator[str]:
    """Fill the caches with every model and data set of the sweep; yield a line for each.

    Raises:
        UserError: bad input, or something cannot be fetched; the message says what to set.
    """
    cells, _ = checked_cells(overrides, config_dir)
    models = {cell.config.model: cell for cell in cells}
    for cell in models.values():
        yield _fetch_model(cell)
    for problems, splits in problem_sets(cell.config for cell in cells):
        yield f"data {problems.name}: {describe(problems, splits)}"
    for name, benchmark, data in benchmarks(cell.config for cell in cells):
        if isinstance(benchmark, DataBenchmark):  # its problems are those of a split above
            continue
        loaded = load_benchmark(name, benchmark, data)
        left_out = f" ({loaded.left_out})" if loaded.left_out else ""
        yield f"benchmark {name}: {len(loaded.problems)} problems{left_out}"


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
    from_hub = commit and model.path and not is_local(model.path)
    return f"model {model.name}: {place}" + (f" (commit {commit})" if from_hub else "")
