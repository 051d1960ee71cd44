"""Check every cell of a plan before anything is submitted or written: rules, shape, data and directories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sweep.config.cell import CellConfig
from sweep.config.data import DataConfig
from sweep.config.evaluation import Benchmark, DataBenchmark
from sweep.config.faults import Labelled, say_once
from sweep.config.rules import cell_faults
from sweep.data.benchmarks import check_benchmark
from sweep.data.problems import load_problems
from sweep.errors import UserError
from sweep.plan.compose import Composition
from sweep.plan.fit import machine_faults, shape_faults
from sweep.plan.overrides import fields_at, for_the_shell, is_recorded
from sweep.plan.places import place_faults
from sweep.plan.signature import benchmark_identities, training_identity
from sweep.plan.task import TRAIN, Task
from sweep.run.identity import signature


def validate(cells: Sequence[Composition]) -> None:
    """Refuse the sweep if any cell breaks a rule, or writes where it cannot.

    Raises:
        UserError: a line for each fault, naming its cells, the keys and the remedy.
    """
    check_rules(cells)
    _refuse(place_faults(cells))


def check_rules(cells: Sequence[Composition]) -> None:
    """Refuse the sweep if any cell breaks a rule, whatever machine this is.

    Raises:
        UserError: as in `validate`.
    """
    planned = say_once((cell.label, fault) for cell in cells for fault in _planned_faults(cell.config))
    _refuse([*planned, *faults_of(cells)])
    _refuse(_same_runs(cells))


def check(made: Sequence[Task]) -> None:
    """Apply the rules of a launch to tasks whose configurations were made from frozen ones, as a retry does.

    Raises:
        UserError: a line for each fault, naming its cells, the keys and the remedy.
    """
    trainings = [task for task in made if task.module == TRAIN]
    others = [task for task in made if task.module != TRAIN]
    _refuse([*faults_of(trainings), *faults_of(others, trains=False)])
    _refuse([*place_faults(made), *machine_faults(trainings), *machine_faults(others, trains=False)])


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        raise UserError("\n".join(faults))


def faults_of(cells: Iterable[Labelled], trains: bool = True) -> list[str]:
    """Return a line for each rule within a configuration that any of `cells` breaks; `trains`: see `shape_faults`."""
    return say_once((cell.label, fault) for cell in cells for fault in _faults_of_cell(cell.config, trains))


def _same_runs(cells: Sequence[Composition]) -> list[str]:
    """Return a line for each set of axes whose values do not change the identity of a run."""
    first: dict[tuple[str, str], Composition] = {}
    values: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for cell in cells:
        identity = signature(training_identity(cell.config)), signature(benchmark_identities(cell.config))
        like = first.setdefault(identity, cell)
        if like is not cell:
            keys = tuple(key for key in cell.axes if cell.axes[key] != like.axes.get(key))
            values.setdefault(keys, {})
            for key in keys:
                values[keys].setdefault(key, [like.axes[key]]).append(cell.axes[key])
    return [_same_run(keys, found) for keys, found in values.items()]


def _same_run(keys: tuple[str, ...], values: dict[str, list[str]]) -> str:
    listed = {key: list(dict.fromkeys(found)) for key, found in values.items()}
    typed = " ".join(f"{key}={','.join(found)}" for key, found in listed.items())
    if keys == ("steps",):
        return f"{typed}: steps is a target, so that these are the same run; give the largest alone"
    if all(map(is_recorded, keys)):
        quote = [
            for_the_shell(key, ",".join(found)) for key, found in listed.items() if str in fields_at(key.split("."))
        ]
        comma = f"; if the comma belongs to the value, quote it: {' '.join(quote)}" if quote else ""
        return f"{typed}: no part of what makes a run, so that these are the same run; give one value{comma}"
    return f"{typed}: the same run each time, because nothing differs that a run reads; give one value"


def _faults_of_cell(config: CellConfig, trains: bool) -> list[str]:
    """Return the rules that a cell breaks; if it breaks none, why it would not fit the shape that it asks for."""
    return cell_faults(config) or shape_faults(config, trains)


def _planned_faults(config: CellConfig) -> list[str]:
    """Return a message for each key that only a plan may set, for its jobs."""
    planned = {
        "evaluation.weights": config.evaluation.weights,
        "labels.shard": config.labels.shard,
        "labels.directories": config.labels.directories,
    }
    return [f"{key}: is set by the plan for its jobs; leave it out" for key, value in planned.items() if value]


def check_data(cells: Iterable[Labelled]) -> None:
    """Read every problem set once, so that a malformed file is found here and not by a job.

    Sets on the hub are left to `prefetch` and to the jobs: planning needs no network. Benchmarks from the hub are read
    if they are in the cache.

    Raises:
        UserError: a file, a row, an empty split or a benchmark is at fault.
    """
    cells = list(cells)
    for data, splits in problem_sets(cell.config for cell in cells):
        if data.source != "hub":
            for split in splits:
                load_problems(data, split)
    for name, benchmark, data in benchmarks(cell.config for cell in cells):
        check_benchmark(name, benchmark, data)


def benchmarks(configs: Iterable[CellConfig]) -> list[tuple[str, Benchmark, DataConfig]]:
    """Return the benchmarks of the cells with their names and the data that is trained on, each combination once."""
    return list(dict.fromkeys((name, b, c.data) for c in configs for name, b in c.evaluation.benchmarks.items()))


def problem_sets(configs: Iterable[CellConfig]) -> list[tuple[DataConfig, tuple[str, ...]]]:
    """Return the problem sets of the cells, each once, with the splits that are used."""
    return list(dict.fromkeys((c.data, tuple(dict.fromkeys(("train", *_own_splits(c))))) for c in configs))


def _own_splits(config: CellConfig) -> Iterator[str]:
    """Yield the splits of a cell's own data that its benchmarks ask."""
    for benchmark in config.evaluation.benchmarks.values():
        if isinstance(benchmark, DataBenchmark):
            yield benchmark.split
