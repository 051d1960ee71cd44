"""Read the answers that are kept of a sweep's untrained models and of its trainings, each evaluation once.

An evaluation is named like its directory, BENCHMARK-SIGNATURE; the signature depends neither on the weights nor on the
numbers of problems and of answers to each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from sweep.errors import UserError
from sweep.run.answer_manifest import Manifest
from sweep.run.answer_places import KeptEvaluation, finished, of_model, of_training
from sweep.run.answer_reading import answers_without_texts, holds
from sweep.run.answers import Answer, by_problem
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.run.identity import differences
from sweep.score.grouped import Grouped

EVALUATIONS_AT_ONCE = 8  # whose answers are in memory: those of one row, with its baseline


@dataclass(frozen=True)
class Targets:
    """How many problems are asked, and how many answers to each are taken: the first ones."""

    problems: int
    samples: int


class KeptAnswers:
    """The answers in an output directory."""

    def __init__(self, root: Path, damaged: list[str] | None = None) -> None:
        """Prepare to read the answers in the output directory `root`; `damaged`: see `finished`."""
        self._root = root
        self._of = lru_cache(maxsize=None)(partial(finished, damaged=damaged))
        self._grouped = lru_cache(maxsize=EVALUATIONS_AT_ONCE)(_grouped)

    def untrained(self, entry: Entry) -> list[KeptEvaluation]:
        """Return the finished evaluations of the model that a cell began from."""
        identity = (RunDirectory(self._root / entry.stages[0]).identity or {}).get("model")
        return [] if identity is None else self._of(of_model(self._root, entry.model, identity))

    def trained(self, entry: Entry, step: int | None) -> list[KeptEvaluation]:
        """Return the finished evaluations of a cell's weights after `step`; None for the last one of its training.

        A training that has not ended has no last step, and so no evaluation of it.
        """
        training = RunDirectory(self._root / entry.training)
        if step is None:
            step = (training.read_result() or {}).get("step")
        return [] if step is None else self._of(of_training(self._root, training.path.name, step))

    def pair(self, entry: Entry, sign: str, step: int | None) -> tuple[KeptEvaluation | None, KeptEvaluation | None]:
        """Return the evaluations with a signature of the untrained model and of the weights after `step`; None where
        there is none.
        """
        sides = self.untrained(entry), self.trained(entry, step)
        before, after = (next((one for one in side if one.sign == sign), None) for side in sides)
        return before, after

    def has(self, evaluated: KeptEvaluation, targets: Targets) -> bool:
        """Return whether an evaluation holds as many answers as `targets` says.

        Raises:
            UserError: a file of the answers is missing or damaged.
        """
        return holds(evaluated.directory, evaluated.manifest, targets.problems, targets.samples)

    def answers(self, evaluated: KeptEvaluation, targets: Targets) -> Grouped:
        """Return the answers of an evaluation by problem, without their texts: as many as `targets` says.

        Raises:
            UserError: a file of the answers is missing or damaged.
        """
        return self._grouped(evaluated.directory, targets)


def _grouped(directory: Path, targets: Targets) -> Mapping[str, Sequence[Answer]]:
    return by_problem(answers_without_texts(directory, targets.problems, targets.samples))


def common_targets(evaluated: Iterable[KeptEvaluation]) -> Targets:
    """Return what all of the evaluations have: the fewest problems and the fewest answers to each."""
    manifests = [one.manifest for one in evaluated]
    return Targets(min(m.problems for m in manifests), min(m.samples_per_problem for m in manifests))


@dataclass(frozen=True)
class Wanted:
    """An evaluation that a person named: a benchmark, or a benchmark with the signature of its evaluation."""

    benchmark: str
    sign: str | None = None

    @classmethod
    def named(cls, typed: str) -> Wanted:
        """Return what NAME or NAME-SIGNATURE means."""
        signed = re.fullmatch(r"(.+)-([0-9a-f]{12})", typed)
        return cls(signed[1], signed[2]) if signed else cls(typed)

    def those(self, found: Iterable[KeptEvaluation]) -> dict[str, KeptEvaluation]:
        """Return those of `found` that are meant, by their signature."""
        return {
            one.sign: one for one in found if one.manifest.benchmark == self.benchmark and self.sign in (None, one.sign)
        }

    def one_of(self, candidates: Mapping[str, KeptEvaluation], preferred: Iterable[str], whose: str) -> KeptEvaluation:
        """Return the one that is `preferred`, or the only one.

        Args:
            preferred: the signatures of evaluations that others are compared by.
            whose: the cell that was evaluated, for the message.
        Raises:
            UserError: there are several, and nothing says which is meant; the message says how they differ.
        """
        kept = [sign for sign in preferred if sign in candidates] or [*candidates]
        if len(kept) > 1:
            apart = how_they_differ([candidates[sign].manifest for sign in kept])
            names = ", ".join(candidates[sign].directory.name for sign in kept)
            raise UserError(
                f"--benchmark {self.benchmark}: {whose} was put to it in {len(kept)} ways, which are never mixed "
                f"({apart}); name one of them: {names}"
            )
        return candidates[kept[0]]


def how_they_differ(manifests: Sequence[Manifest]) -> str:
    """Return in words how evaluations by one benchmark differ: each key with its values."""
    first, *others = manifests
    return "; ".join(sorted({part for other in others for part in differences(first.identity, other.identity)}))


def identity_of(manifest: Manifest, targets: Targets) -> dict:
    """Return the identity of the evaluation whose answers were counted: that of the answers, and the targets."""
    counted = {"problems": targets.problems, "samples_per_problem": targets.samples}
    return manifest.identity | {"evaluation": manifest.identity.get("evaluation", {}) | counted}
