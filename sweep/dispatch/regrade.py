"""Grade the kept answers of a sweep again, and find their behaviours again, without sampling anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rewards.behaviours import Behaviours
from rewards.grading import Grader
from sweep.config.cell import CellConfig
from sweep.data.verdicts import verdicts
from sweep.dispatch.evaluate import told_apart
from sweep.dispatch.select import runs, select
from sweep.errors import UserError
from sweep.plan.evaluations import evaluated_config
from sweep.plan.signature import fields
from sweep.program import program
from sweep.run.answer_places import KeptEvaluation, finished, finished_of_training, of_benchmark, of_model
from sweep.run.answer_reading import read_answers
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.run.identity import GRADING, signature, without_grading
from sweep.run.ledger import read_sweep
from sweep.run.recomputed_answers import regrade, replace_behaviours

SECTIONS = ("grading", "behaviours")


@dataclass(frozen=True)
class Regraded:
    """An evaluation that was graded again. changed: verdicts that differ; before, after: shares of right answers."""

    weights: str
    benchmark: str
    answers: int
    changed: int
    before: float
    after: float
    directory: Path


def regrade_sweep(root: Path, name: str, words: Sequence[str], config_dir: str | None) -> Iterator[Regraded]:
    """Grade the kept answers of a sweep's cells and of their untrained models; yield each evaluation once it is done.

    Answers that were graded by several rules are read from one of them. Behaviours are replaced where the answers are;
    verdicts by other rules go to a directory of their own.

    Args:
        words: cells, as `select` takes them, and overrides of `grading` and `behaviours`. Without overrides each cell's
            own settings count, under today's rules.
    Raises:
        UserError: bad input, or there is no answer.
    """
    sweep = read_sweep(root, name)
    patterns, overrides = told_apart(sweep, words)
    for line in overrides:
        if not line.lstrip("+").startswith(SECTIONS):
            raise UserError(f"{line}: verdicts follow from {' and '.join(SECTIONS)} alone; leave it out")
    of_cells = {entry.directory for entry in sweep.cells}
    chosen = [run.entry for run in select([r for r in runs(sweep) if r.entry.directory in of_cells], patterns)]
    work: dict[tuple[Path, str], _Work] = {}
    for one in (found for entry in chosen for found in _kept(root, entry, overrides, config_dir)):
        work[one.key] = max(work.get(one.key, one), one, key=lambda work: work.rank)
    if not work:
        how = f"`{program()} evaluate {name}` samples those of its last step"
        raise UserError(f"{name}: no answers are kept of it; {how}")
    for one in work.values():
        yield _regraded(one)


@dataclass(frozen=True)
class _Work:
    """An evaluation to grade again, and the configuration whose rules count."""

    config: CellConfig
    evaluated: KeptEvaluation

    @property
    def identity(self) -> dict:
        """The identity of the evaluation under those rules."""
        identity = self.evaluated.manifest.identity
        rules = {**identity["rules"], "grading": GRADING}
        return identity | {"grading": fields(self.config.grading), "rules": rules}

    @property
    def target(self) -> Path:
        """The directory of the verdicts by those rules."""
        return of_benchmark(self.evaluated.directory.parent, self.evaluated.manifest.benchmark, self.identity)

    @property
    def key(self) -> tuple[Path, str]:
        """What it shares with the same answers under other rules."""
        return self.evaluated.directory.parent, signature(without_grading(self.evaluated.manifest.identity))

    @property
    def rank(self) -> tuple[int, bool]:
        """The largest of those with one key is read: the one with most answers, graded by other rules if possible."""
        return self.evaluated.manifest.rows, self.target != self.evaluated.directory


def _kept(root: Path, entry: Entry, overrides: Sequence[str], config_dir: str | None) -> Iterator[_Work]:
    """Yield the evaluations of a cell and of its untrained model."""
    run = RunDirectory(root / entry.training)
    config = evaluated_config(run.read_config(), overrides, config_dir)
    untrained = of_model(root, config.model.name, (run.identity or {})["model"])
    for one in [*finished(untrained), *finished_of_training(root, run.path.name)]:
        yield _Work(config, one)


def _regraded(work: _Work) -> Regraded:
    source, target, config = work.evaluated.directory, work.target, work.config
    behaviours, grader = Behaviours(config.behaviours), Grader(config.grading, 1)
    try:
        replace_behaviours(source, behaviours.definitions(), behaviours.detect)
        if target != source:
            regrade(source, target, work.identity, partial(verdicts, grader), behaviours.detect)
    finally:
        behaviours.close()
        grader.close()
    before, after = _verdicts(source), _verdicts(target)
    manifest = work.evaluated.manifest
    return Regraded(
        weights=manifest.weights.name,
        benchmark=manifest.benchmark,
        answers=len(before),
        changed=sum(after[pair] != right for pair, right in before.items()),
        before=sum(before.values()) / len(before),
        after=sum(after[pair] for pair in before) / len(before),
        directory=target,
    )


def _verdicts(directory: Path) -> dict[tuple[str, int], bool]:
    table = read_answers(directory, ["problem", "sample", "correct"])
    problems, samples, correct = (table.column(name).to_pylist() for name in ("problem", "sample", "correct"))
    return dict(zip(zip(problems, samples, strict=True), correct, strict=True))
