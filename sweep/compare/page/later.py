"""Benchmarks that were asked after the launch: their results follow from the kept answers, as `--benchmark` reads them.

The page shows them without being told their names, beside the benchmarks that the launch asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sweep.compare.kept import KeptAnswers, Targets, Wanted, common_targets, identity_of
from sweep.compare.metrics import EVALUATED
from sweep.compare.page.readings import Reading, by_benchmark
from sweep.compare.results import CellResult, Comparison
from sweep.errors import UserError
from sweep.run.answer_places import KeptEvaluation, finished_of_training
from sweep.run.directory import RunDirectory
from sweep.run.identity import answers_identity, signature
from sweep.score.evaluation import evaluation_of


@dataclass
class Later:
    """What only kept answers say.

    names: of the benchmarks, by the signature of the evaluation; one that was asked in several ways, or that the launch
    asked in another way, is named NAME-SIGNATURE. evaluations: identities, by the name that results have for them.
    readings: the records of each cell with the results added.
    """

    names: dict[str, str] = field(default_factory=dict)
    evaluations: dict[str, dict] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)


def with_later(
    comparison: Comparison, readings: Sequence[Reading], typed: Sequence[str | None], damaged: list[str]
) -> Later:
    """Return the records of the cells with their results by benchmarks that no launch asked.

    Args:
        typed: the benchmarks that were named for the comparison, whose names stay as they are.
        damaged: takes a message for each file that cannot be read.
    """
    kept = KeptAnswers(comparison.root, damaged)
    trained = [_trained(comparison.root, cell, damaged) for cell in comparison.cells]
    found = Later(_names(trained, readings, typed))
    for cell, reading, evaluated in zip(comparison.cells, readings, trained, strict=True):
        for sign, name in found.names.items():
            those = [one for one in evaluated if one.sign == sign]
            try:
                reading = _added(reading, name, _sides(cell, those, kept), found) if those else reading
            except UserError as error:
                damaged.append(f"{name} of {cell.entry.label}: {error}")
        found.readings.append(reading)
    return found


def _trained(root: Path, cell: CellResult, damaged: list[str]) -> list[KeptEvaluation]:
    """Return the evaluations of a cell's weights; none of a cell from a file, whose records are elsewhere."""
    return finished_of_training(root, Path(cell.training).name, damaged) if cell.entry.stages else []


def _names(
    trained: Sequence[Sequence[KeptEvaluation]], readings: Sequence[Reading], typed: Sequence[str | None]
) -> dict[str, str]:
    launched = {name: identity for reading in readings for name, identity in reading.identities.items()}
    every = [identity for reading in readings for identity in reading.identities.values()]
    known = {signature(answers_identity(identity)) for identity in every if "evaluation" in identity}
    own = {one.sign: one.manifest.benchmark for of_cell in trained for one in of_cell if one.sign not in known}
    often = Counter([*own.values(), *launched])
    signed = {wanted.sign: name for name in typed if name and (wanted := Wanted.named(name)).sign}
    return {
        sign: signed.get(sign) or (name if often[name] == 1 else f"{name}-{sign}")
        for sign, name in sorted(own.items(), key=lambda of: (of[1], of[0]))
    }


@dataclass(frozen=True)
class _Sides:
    """The numbers of the untrained model ({} if it was not asked), and of the trained weights by step; and the last
    step, None if the training has not ended.
    """

    identity: dict
    base: dict
    by_step: Mapping[int, dict]
    last: int | None


def _sides(cell: CellResult, those: Sequence[KeptEvaluation], kept: KeptAnswers) -> _Sides:
    last = (RunDirectory(cell.training).read_result() or {}).get("step")
    ended = [one for one in those if one.step == last] or list(those[-1:])
    first = [one for one in kept.untrained(cell.entry) if one.sign == those[0].sign]
    targets = common_targets([*first, *ended])
    enough = [one for one in those if kept.has(one, targets)]
    by_step = {one.step or 0: _numbers(one, targets, kept) for one in enough}
    base = _numbers(first[0], targets, kept) if first else {}
    return _Sides(identity_of(ended[0].manifest, targets), base, by_step, last)


def _numbers(one: KeptEvaluation, targets: Targets, kept: KeptAnswers) -> dict:
    """Return the numbers of an evaluation as result.json has them."""
    answers = [answer for of_problem in kept.answers(one, targets).values() for answer in of_problem]
    name = f"{one.sign}:{targets.problems}x{targets.samples}"
    return evaluation_of(answers, targets.samples).numbers | {"evaluation": name}


def _added(reading: Reading, name: str, sides: _Sides, found: Later) -> Reading:
    """Return a cell's records with its results by one more benchmark."""
    final = sides.by_step.get(sides.last, {}) if sides.last is not None else {}
    series = dict(reading.series)
    for step, numbers in sides.by_step.items():
        for key, value in numbers.items():
            if isinstance(value, int | float):
                column = f"{EVALUATED}{name}/{key}"
                series[column] = series.get(column, {}) | {step: float(value)}
    known = next((of["evaluation"] for of in (final, sides.base) if of), None)
    if known is not None:
        found.evaluations[known] = sides.identity
    return replace(
        reading,
        series=series,
        final=_with(reading.final, name, final),
        base=_with(reading.base, name, sides.base),
        identities=reading.identities | {name: sides.identity},
    )


def _with(result: dict, name: str, numbers: dict) -> dict:
    return {**result, "benchmarks": {**by_benchmark(result), name: numbers}} if numbers else result
