"""Transitions of a sweep's cells: read the answers before and after training, and pool those of a row over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from sweep.compare.kept import Wanted, how_they_differ
from sweep.compare.pool import SEED
from sweep.errors import UserError
from sweep.program import program
from sweep.run.answer_places import KeptEvaluation, finished, finished_of_training, of_model
from sweep.run.answer_reading import answers_without_texts, made_between
from sweep.run.answers import by_problem
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.score.grouped import Grouped
from sweep.score.means import CODE
from sweep.score.transitions import Change, Transition, Transitions, transitions

LAST = "last"
DEFAULT_BEHAVIOUR = CODE


@dataclass(frozen=True)
class Moved:
    """A cell, or a row of cells that differ in the seed alone, between two evaluations by one benchmark.

    axes: without the seed. sign: the signature of the evaluation: one benchmark may have been asked in several ways,
    and each is a row. before, after: the steps of the weights; None for untrained ones, and where cells
    differ. found: the transitions; of a row, means over its `n` seeds, as are its `fixed` and `broken`.
    """

    axes: dict[str, str]
    benchmark: str
    sign: str
    before: int | None
    after: int | None
    n: int
    found: Transitions


@dataclass(frozen=True)
class Found:
    """The rows of a sweep, and in words what was left out and what a reader should know of the answers."""

    rows: list[Moved]
    warnings: list[str]


@dataclass(frozen=True)
class Asked:
    """What to compare: a behaviour, a benchmark (None: all), and the steps of the weights before and after.

    benchmark: its name, or that with the signature of one evaluation (NAME-SIGNATURE).
    before: None for the untrained model. after: None for the last step that was evaluated.
    """

    behaviour: str = CODE
    benchmark: str | None = None
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True)
class Pair:
    """Two evaluations of a cell by one benchmark, asked in one way: of earlier weights, and of later ones."""

    cell: Entry
    first: KeptEvaluation
    last: KeptEvaluation

    @property
    def made_differently(self) -> list[str]:
        """In words how the two were made differently; nothing if they were not."""
        return [f"{self.cell.label}: {said}" for said in made_between(self.first.manifest, self.last.manifest)]

    def answers(self) -> tuple[Grouped, Grouped]:
        """Return the answers of both without texts, by problem: those to the problems that both were asked for.

        Raises:
            UserError: a file of the answers is missing or damaged.
        """
        problems = min(self.first.manifest.problems, self.last.manifest.problems)
        first, last = (by_problem(answers_without_texts(e.directory, problems)) for e in (self.first, self.last))
        return first, last

    def moved(self, found: Transitions) -> Moved:
        """Return the row of this cell alone."""
        axes = {axis: value for axis, value in self.cell.axes.items() if axis != SEED}
        return Moved(axes, self.first.manifest.benchmark, self.first.sign, self.first.step, self.last.step, 1, found)


def moved_rows(root: Path, sweep: str, cells: Sequence[Entry], asked: Asked) -> Found:
    """Return a row for each benchmark and each set of cells that differ in the seed alone.

    Raises:
        UserError: no answers are kept of any of the cells, the behaviour was not looked for, or two evaluations are
            not of the same problems.
    """
    every = [pair for cell in cells for pair in pairs_of(root, cell, asked)]
    wanted = None if asked.benchmark is None else Wanted.named(asked.benchmark)
    pairs = [pair for pair in every if wanted is None or wanted.those([pair.first])]
    left_out = [*without_pairs(sweep, cells, pairs, asked, every), *_several_ways(pairs)]
    for pair in pairs:
        _check_behaviour(pair.first, pair.last, asked.behaviour)
    moved = [pair.moved(transitions(*pair.answers(), asked.behaviour)) for pair in pairs]
    warnings = [said for pair in pairs for said in pair.made_differently]
    return Found(pooled_rows(moved), list(dict.fromkeys([*warnings, *left_out])))


def _several_ways(pairs: Sequence[Pair]) -> list[str]:
    """Return in words how the evaluations by one benchmark that was asked in several ways differ, or nothing."""
    ways: dict[str, dict[str, KeptEvaluation]] = {}
    for pair in pairs:
        ways.setdefault(pair.first.manifest.benchmark, {})[pair.first.sign] = pair.first
    return [
        f"{benchmark} was asked in {len(by_sign)} ways, and each is a row of its own "
        f"({how_they_differ([one.manifest for one in by_sign.values()])}); --benchmark {benchmark}-SIGNATURE shows one"
        for benchmark, by_sign in ways.items()
        if len(by_sign) > 1
    ]


def without_pairs(
    sweep: str, cells: Sequence[Entry], pairs: Sequence[Pair], asked: Asked, others: Sequence[Pair] = ()
) -> list[str]:
    """Return in words which cells no pair is of, or nothing.

    Args:
        others: pairs of the cells by any benchmark, for the message.
    Raises:
        UserError: there is no pair.
    """
    steps = "" if asked.before is None and asked.after is None else " --step all"
    whose = "every step whose weights are kept" if steps else "the last step"
    how = f"`{program()} evaluate {sweep}{steps}` makes those of {whose}"
    how += "; where an older version evaluated the untrained model, docs/transitions.md says what else to ask"
    if not pairs:
        of = f" to {asked.benchmark}" if asked.benchmark else ""
        known = ", ".join(dict.fromkeys(pair.first.manifest.benchmark for pair in others))
        there = f"there are answers to: {known}; " if known else ""
        raise UserError(f"sweep {sweep}: no answers{of} are kept of two evaluations of any of its cells; {there}{how}")
    missing = [cell.label for cell in cells if not any(pair.cell is cell for pair in pairs)]
    if not missing:
        return []
    return [f"left out, because no two evaluations with answers are kept: {'; '.join(missing)}; {how}"]


def pooled_rows(moved: Sequence[Moved]) -> list[Moved]:
    """Return a row for each set of cells that differ in the seed alone and were asked equally many problems."""

    def key(of_cell: Moved) -> tuple:
        return of_cell.benchmark, of_cell.sign, sorted(of_cell.axes.items()), of_cell.found.problems

    return [_pooled(list(members)) for _, members in groupby(sorted(moved, key=key), key)]


def pairs_of(root: Path, cell: Entry, asked: Asked, damaged: list[str] | None = None) -> Iterator[Pair]:
    """Yield the pair of each benchmark whose answers are kept of both weights of a cell.

    Args:
        asked: says the steps; whatever benchmark it names, the pairs of all are yielded.
        damaged: takes a message for each manifest that cannot be read.
    Raises:
        UserError: a manifest cannot be read, and `damaged` is None.
    """
    training = RunDirectory(root / cell.training).path
    trained = finished_of_training(root, training.name, damaged)
    before = _untrained(root, cell, damaged) if asked.before is None else [e for e in trained if e.step == asked.before]
    for first in before:
        same = [e for e in trained if e.sign == first.sign and asked.after in (None, e.step)]
        if not same:
            continue
        last = max(same, key=lambda evaluated: evaluated.step or 0)
        if last.directory != first.directory:
            yield Pair(cell, first, last)


def _untrained(root: Path, cell: Entry, damaged: list[str] | None) -> list[KeptEvaluation]:
    """Return the evaluations of the model that the cell began from."""
    baseline = RunDirectory(root / cell.stages[0])
    identity = (baseline.identity or {}).get("model")
    return [] if identity is None else finished(of_model(root, cell.model, identity), damaged)


def _check_behaviour(first: KeptEvaluation, last: KeptEvaluation, behaviour: str) -> None:
    one, other = (evaluated.manifest.detectors.get(behaviour) for evaluated in (first, last))
    if one is None or other is None:
        known = sorted(first.manifest.detectors.keys() & last.manifest.detectors.keys())
        raise UserError(
            f"--behaviour {behaviour}: was not looked for in the answers of {first.directory} or {last.directory}; "
            f"there are: {', '.join(known)}"
        )
    if one != other:
        raise UserError(
            f"--behaviour {behaviour}: another detector decided before ({one}, {first.directory}) than after ({other}, "
            f"{last.directory}); evaluate both again, which looks for it with one detector and samples nothing"
        )


def _pooled(members: Sequence[Moved]) -> Moved:
    """Return the row of cells that differ in the seed alone: each of its numbers is the mean over them."""
    found = [member.found for member in members]
    changes = _changes(found)
    before, after = (math.fsum(getattr(one, name) for one in found) / len(found) for name in ("before", "after"))
    steps = [{getattr(member, name) for member in members} for name in ("before", "after")]
    first, last = (of.pop() if len(of) == 1 else None for of in steps)
    pooled = Transitions(
        behaviour=found[0].behaviour,
        problems=found[0].problems,
        before=before,
        after=after,
        gain=after - before,
        starts={change.problem: change.before for change in changes},
        ends={change.problem: change.after for change in changes},
        classes=tuple(_mean_class(of) for of in zip(*(one.classes for one in found), strict=True)),
        fixed=tuple(change for change in changes if change.after > change.before),
        broken=tuple(change for change in changes if change.after < change.before),
    )
    return Moved(members[0].axes, members[0].benchmark, members[0].sign, first, last, len(members), pooled)


def _mean_class(of: Sequence[Transition]) -> Transition:
    share = math.fsum(one.share for one in of) / len(of)
    right = [math.fsum(one.share * (getattr(one, name) or 0.0) for one in of) / len(of) for name in ("before", "after")]
    before, after = (value / share if share else None for value in right)
    contribution = math.fsum(one.contribution for one in of) / len(of)
    return Transition(of[0].name, of[0].had, of[0].has, share, before, after, contribution)


def _changes(found: Sequence[Transitions]) -> list[Change]:
    """Return each problem with its shares of right answers, means over seeds; the largest change comes first."""
    starts, ends = ([getattr(one, name) for one in found] for name in ("starts", "ends"))
    means = {p: [math.fsum(of[p] for of in side) / len(found) for side in (starts, ends)] for p in starts[0]}
    every = [Change(problem, *both) for problem, both in means.items()]
    return sorted(every, key=lambda change: (-abs(change.after - change.before), change.problem))
