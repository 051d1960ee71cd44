"""How the answers to the same problems changed between two evaluations: with and without a behaviour, right and wrong.

A pair is any answer before with any answer after to the same problem, and weighs 1 / (answers before · answers after):
the two are drawn independently, so no pair belongs together more than another. Problems weigh equally.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweep.run.answers import Answer
from sweep.score.grouped import Grouped, check_same_problems
from sweep.score.means import CODE, accuracies


@dataclass(frozen=True)
class Transition:
    """The pairs whose first answer has the behaviour or not (`had`), and whose second one has it or not (`has`).

    share: of all pairs. before, after: the accuracy of the first, and of the second answers of these pairs; None if
    there is no such pair. contribution: share × (after - before), what they account for of the gain.
    """

    name: str
    had: bool
    has: bool
    share: float
    before: float | None
    after: float | None
    contribution: float


@dataclass(frozen=True)
class Change:
    """A problem whose share of right answers changed."""

    problem: str
    before: float
    after: float

    @property
    def strict(self) -> bool:
        """True if no answer was right and all are, or the other way round."""
        return {self.before, self.after} == {0.0, 1.0}


@dataclass(frozen=True)
class Transitions:
    """Two evaluations of the same problems, side by side.

    behaviour: what the classes are told by. problems: their number. before, after: avg@k of both; gain is after -
    before, and the contributions of `classes` sum to it. starts, ends: each problem's share of right answers before and
    after. fixed, broken: the problems whose share of right answers rose,
    and fell, the largest change first.
    """

    behaviour: str
    problems: int
    before: float
    after: float
    gain: float
    starts: dict[str, float]
    ends: dict[str, float]
    classes: tuple[Transition, ...]
    fixed: tuple[Change, ...]
    broken: tuple[Change, ...]


def transitions(base: Grouped, final: Grouped, behaviour: str = CODE) -> Transitions:
    """Return how the answers of `base` became those of `final`. Each may have its own number of answers to a problem.

    Raises:
        UserError: they are not of the same problems (it says how many differ), or there is none.
    """
    check_same_problems(base, final)
    before, after = accuracies(base), accuracies(final)
    parts = [(_split(base[problem], behaviour), _split(final[problem], behaviour)) for problem in base]
    start, end = (math.fsum(shares.values()) / len(shares) for shares in (before, after))
    changes = sorted(
        (Change(problem, before[problem], after[problem]) for problem in base if before[problem] != after[problem]),
        key=lambda change: (-abs(change.after - change.before), change.problem),
    )
    return Transitions(
        behaviour=behaviour,
        problems=len(base),
        before=start,
        after=end,
        gain=end - start,
        starts=before,
        ends=after,
        classes=tuple(_transition(parts, behaviour, had, has) for had, has in _ORDER),
        fixed=tuple(change for change in changes if change.after > change.before),
        broken=tuple(change for change in changes if change.after < change.before),
    )


_ORDER = ((False, True), (True, True), (True, False), (False, False))
_Parts = dict[bool, tuple[float, float]]  # by whether it is shown: share, share that is right too


def _split(answers: Sequence[Answer], behaviour: str) -> _Parts:
    found = {}
    for shows in (False, True):
        those = [answer.correct for answer in answers if (behaviour in answer.behaviours) == shows]
        found[shows] = (len(those) / len(answers), sum(those) / len(answers))
    return found


def _transition(parts: Sequence[tuple[_Parts, _Parts]], behaviour: str, had: bool, has: bool) -> Transition:
    """Return a class of pairs. The weights of a problem's pairs are products, so that no pair has to be looked at."""
    share = math.fsum(first[had][0] * second[has][0] for first, second in parts) / len(parts)
    right_before = math.fsum(first[had][1] * second[has][0] for first, second in parts) / len(parts)
    right_after = math.fsum(first[had][0] * second[has][1] for first, second in parts) / len(parts)
    return Transition(
        name=f"{_word(behaviour, had)}→{_word(behaviour, has)}",
        had=had,
        has=has,
        share=share,
        before=right_before / share if share else None,
        after=right_after / share if share else None,
        contribution=right_after - right_before,
    )


def _word(behaviour: str, shows: bool) -> str:
    """Return how an answer with or without the behaviour is called; with code as the paper does."""
    if behaviour == CODE:
        return "Code" if shows else "Lang"
    return behaviour if shows else f"no {behaviour}"
