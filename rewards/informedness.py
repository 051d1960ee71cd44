"""The information that a reward carries about correctness: true- and false-positive rate, and their difference.

A group holds the responses to one problem. With a group baseline only differences within a group drive learning, so the
information *within* groups is what can be learnt from. Over a whole batch a reward may seem informative although it
only reflects which problems are easy: `shuffled` does, because it gives more ones where more responses are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Judged:
    """One response: `rewarded` says that its reward is positive, `right` that its answer is correct."""

    rewarded: bool
    right: bool


@dataclass(frozen=True)
class Rates:
    """The fraction of right responses, and of wrong ones, that are rewarded; None if there are no such responses."""

    true_positive: float | None
    false_positive: float | None

    @property
    def informedness(self) -> float | None:
        """Youden's J, from -1 to 1: 1 for the truth, 0 for no information, -1 for its opposite (Youden 1950). None if
        unknown.
        """
        if self.true_positive is None or self.false_positive is None:
            return None
        return self.true_positive - self.false_positive


def rates(responses: Sequence[Judged]) -> Rates:
    """Return the rates over all responses together."""
    return Rates(*(_share([r.rewarded for r in responses if r.right is right]) for right in (True, False)))


def mixed(groups: Sequence[Sequence[Judged]]) -> list[Sequence[Judged]]:
    """Return the groups that hold both right and wrong answers; in the others no reward can tell them apart."""
    return [group for group in groups if len({r.right for r in group}) == 2]


def rates_within(groups: Sequence[Sequence[Judged]]) -> Rates:
    """Return the rates of each mixed group, averaged over these groups with equal weight; None if there is none.

    The difference of these means is the mean of the groups' differences.
    """
    found = [rates(group) for group in mixed(groups)]
    return Rates(_share([r.true_positive for r in found]), _share([r.false_positive for r in found]))


def _share(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
