"""Load the problems of a benchmark, check that they are those its file describes, and compare them with the training
data.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from sweep.config.data import DataConfig
from sweep.config.evaluation import (
    Benchmark,
    DataBenchmark,
    DecimalSumsBenchmark,
    FileBenchmark,
    Foreign,
    HubBenchmark,
    MiniFreshBenchmark,
    RandomCalculationBenchmark,
)
from sweep.data.decimal_sums import decimal_sums
from sweep.data.fields import check_columns
from sweep.data.mini_fresh import mini_fresh
from sweep.data.problems import Loaded, load_split, rows_hash, training_source
from sweep.data.random_calculation import random_calculation
from sweep.data.reading import Account, Problem, question_key, read_problems, shortened
from sweep.data.rows import Rows, in_cache, read_file, read_hub, stamp_of
from sweep.errors import UserError

EXAMPLES = 3  # most shared questions that a message shows


def load_benchmark(name: str, benchmark: Benchmark, data: DataConfig) -> Loaded:
    """Return the problems of a benchmark in the order of their source, and the numbers of those left out.

    Args:
        name: its name in `evaluation.benchmarks`, for messages.
        data: the data that is trained on. Problems shared with it are refused, left out or kept as
            `benchmark.shared` says; problems of the cell's own data are left out of its test and validation splits.
    Raises:
        UserError: the source is missing, malformed, empty, or not of the size that the benchmark states; it asks a
            question twice; or it shares problems with the training data.
    """
    key = key_of(name)
    if isinstance(benchmark, DataBenchmark):
        found = load_split(data, benchmark.split)
        _check_size(
            key, f"the {benchmark.split} split of data={data.name}", len(found.problems) + found.shared, benchmark
        )
        return found
    problems, account = own_problems(name, benchmark)
    return _compared(key, benchmark, Loaded(problems, account), data)


def own_problems(name: str, benchmark: Foreign) -> tuple[list[Problem], Account | None]:
    """Return the problems of a benchmark that has a source of its own, and the counts of its rows; None if they are
    generated.

    Raises:
        UserError: see `load_benchmark`.
    """
    key = key_of(name)
    if isinstance(benchmark, FileBenchmark):
        problems, account = _read_file(key, stamp_of(benchmark.path, key, "path"), benchmark)
    elif isinstance(benchmark, HubBenchmark):
        problems, account = _read_hub(key, benchmark)
    else:
        return _made(benchmark), None
    if not problems:
        raise UserError(f"{key}: {account.source} has no rows")
    return problems, account


def benchmark_hash(name: str, benchmark: FileBenchmark) -> str:
    """Return the hash that stands for a benchmark's file in the identity of an evaluation: of its problems in order.

    Raises:
        UserError: see `load_benchmark`.
    """
    return rows_hash(own_problems(name, benchmark)[0])


def check_benchmark(name: str, benchmark: Benchmark, data: DataConfig) -> Loaded | None:
    """Load a benchmark before anything runs, if no network is needed; return None if its job has to.

    A data set from the hub is read if it is in the cache.

    Raises:
        UserError: see `load_benchmark`.
    """
    if isinstance(benchmark, HubBenchmark) and not in_cache(benchmark):
        return None
    if data.source != "hub" or all(in_cache(place) for place in (data.train, data.test) if place is not None):
        return load_benchmark(name, benchmark, data)
    return None if isinstance(benchmark, DataBenchmark) else Loaded(*own_problems(name, benchmark))


def key_of(name: str) -> str:
    """Return the section of the configuration that describes a benchmark."""
    return f"evaluation.benchmarks.{name}"


def _made(benchmark: Foreign) -> list[Problem]:
    if isinstance(benchmark, DecimalSumsBenchmark):
        return decimal_sums(benchmark)
    if isinstance(benchmark, RandomCalculationBenchmark):
        return random_calculation(benchmark)
    assert isinstance(benchmark, MiniFreshBenchmark)
    return mini_fresh(benchmark)


@lru_cache(maxsize=16)
def _read_file(key: str, stamp: tuple[int, ...], benchmark: FileBenchmark) -> tuple[list[Problem], Account]:
    """Read a file of problems. `stamp` changes with the file, so that the cache is valid for all cells of a sweep."""
    return _read(read_file(benchmark.path, benchmark.names, key), benchmark)


@lru_cache(maxsize=16)
def _read_hub(key: str, benchmark: HubBenchmark) -> tuple[list[Problem], Account]:
    return _read(read_hub(benchmark, key, benchmark.names), benchmark)


def _read(source: Rows, benchmark: FileBenchmark | HubBenchmark) -> tuple[list[Problem], Account]:
    source = replace(source, section=source.key)
    check_columns(source, benchmark)  # a table without any of the columns would seem to have no rows
    _check_size(source.key, source.name, len(source.rows), benchmark)
    return read_problems(source, benchmark, benchmark.on_bad_gold, benchmark.on_repeat)


def _check_size(key: str, source: str, found: int, benchmark: Benchmark) -> None:
    """Check the number of problems of a source, before any is filtered or left out.

    Raises:
        UserError: the benchmark states another one.
    """
    if benchmark.size is not None and found != benchmark.size:
        raise UserError(
            f"{key}: {source} has {found} problems, and {key}.size={benchmark.size} was expected: see whether it is "
            f"the right source and was not changed; {key}.size=null accepts it"
        )


def _compared(key: str, benchmark: Foreign, found: Loaded, data: DataConfig) -> Loaded:
    """Treat the problems that the training source has too as `benchmark.shared` says."""
    trained = {question_key(problem.question) for problem in training_source(data)}
    shared = [problem for problem in found.problems if question_key(problem.question) in trained]
    if not shared:
        return found
    if benchmark.shared == "keep":
        return replace(found, kept_shared=len(shared))
    if benchmark.shared == "drop" and len(shared) < len(found.problems):
        kept = [problem for problem in found.problems if question_key(problem.question) not in trained]
        return replace(found, problems=kept, shared=len(shared))
    examples = ", ".join(shortened(problem.question) for problem in shared[:EXAMPLES])
    more = ", …" if len(shared) > EXAMPLES else ""
    drop = f"leave them out with {key}.shared=drop, or " if len(shared) < len(found.problems) else ""
    raise UserError(
        f"{key}: {len(shared)} of its {len(found.problems)} problems stand in the training data (data={data.name}), so "
        f"that right answers may be remembered: {examples}{more}; {drop}ask them nevertheless with {key}.shared=keep"
    )
