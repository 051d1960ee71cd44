"""Divide problems into those that are trained on and those that are held out, so that no problem is both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sweep.data.reading import Problem, question_key


def hold_out(problems: Sequence[Problem], share: float, has_test: bool) -> dict[str, list[Problem]]:
    """Return the different `problems` by split, each split in their order.

    The problems are ranked by a hash of the question, so their order does not matter, and the first `share` of them is
    held out. Half of these, rounded up, are the test split and the rest is validation. If `has_test`, test problems
    have a source of their own, and all of them are validation. The training split is the same in both cases.
    """
    count = int(len(problems) * share + 0.5)
    test = 0 if has_test else (count + 1) // 2
    ranked = sorted(range(len(problems)), key=lambda i: _rank(problems[i]))
    places = {"test": ranked[:test], "validation": ranked[test:count], "train": ranked[count:]}
    return {split: [problems[i] for i in sorted(chosen)] for split, chosen in places.items()}


def _rank(problem: Problem) -> bytes:
    return hashlib.sha256(f"held-out problems\0{question_key(problem.question)}".encode()).digest()


def unshared(problems: Sequence[Problem], others: Sequence[Problem]) -> list[Problem]:
    """Return those of `problems` whose question is not among `others`."""
    known = {question_key(problem.question) for problem in others}
    return [problem for problem in problems if question_key(problem.question) not in known]
