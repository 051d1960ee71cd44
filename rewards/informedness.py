"""How much a reward says of the truth: its true- and false-positive rate, and the difference of both. Pure.

A group holds the responses to one problem. Under a group's baseline nothing but differences within a group is learnt
from, so that what a reward says of the truth *there* is what can be learnt. Over a whole batch a reward may seem to
know the truth although it only knows which problems are easy: `shuffled` does, for it gives more ones where more
responses are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Judged:
    """A response: whether its reward is positive, and whether its answer is right."""

    rewarded: bool
    right: bool


@dataclass(frozen=True)
class Rates:
    """Of the right responses, and of the wrong ones, the share that is rewarded; None where there is none of them."""

    true_positive: float | None
    false_positive: float | None

    @property
    def informedness(self) -> float | None:
        """Youden's J, from -1 to 1: 1 is the truth, 0 says nothing of it, -1 is its opposite (Youden 1950)."""
        if self.true_positive is None or self.false_positive is None:
            return None
        return self.true_positive - self.false_positive


def rates(responses: Sequence[Judged]) -> Rates:
    """Of all the responses together."""
    return Rates(*(_share([r.rewarded for r in responses if r.right is right]) for right in (True, False)))


def mixed(groups: Sequence[Sequence[Judged]]) -> list[Sequence[Judged]]:
    """The groups that hold right and wrong answers: in the others no reward can tell them apart."""
    return [group for group in groups if len({r.right for r in group}) == 2]


def rates_within(groups: Sequence[Sequence[Judged]]) -> Rates:
    """Of each mixed group by itself, then averaged over these, each counting once; None where there is none.

    The difference of these means is the mean of the groups' differences.
    """
    found = [rates(group) for group in mixed(groups)]
    return Rates(_share([r.true_positive for r in found]), _share([r.false_positive for r in found]))


def _share(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
