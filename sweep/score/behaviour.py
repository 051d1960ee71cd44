"""How often answers show a behaviour, whether those that do are right more often, and whether training favours it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sweep.score.means import mean


class Judged(Protocol):
    """What is needed of an answer or a response: whether it is right, and which behaviours it shows."""

    @property
    def correct(self) -> bool: ...

    @property
    def behaviours(self) -> Sequence[str]: ...


class Trained(Judged, Protocol):
    """What is needed of a response in training: also its group, which is that of its step and slot."""

    @property
    def step(self) -> int: ...

    @property
    def slot(self) -> int: ...


@dataclass(frozen=True)
class BehaviourTable:
    """How often a behaviour occurs, and the accuracy with and without it.

    with_it, without_it: the numbers of answers that show it and that do not. frequency: the share that shows it.
    accuracy_with, accuracy_without: the shares of right ones among them. None where there is no answer.
    """

    behaviour: str
    with_it: int
    without_it: int
    frequency: float | None
    accuracy_with: float | None
    accuracy_without: float | None


@dataclass(frozen=True)
class ConditionalAdvantage:
    """The mean true advantage of the responses that show a behaviour, and their number; None if none shows it.

    Above 0, responses that show it are right more often than others to the same prompt, so that a true reward would
    favour it. A response's true advantage is its correctness, 0 or 1, less the mean of its group.
    """

    behaviour: str
    responses: int
    advantage: float | None


def behaviour_table(answers: Iterable[Judged], behaviours: Sequence[str]) -> list[BehaviourTable]:
    """Return a row for each of `behaviours`, in their order. Each answer counts once."""
    rows = list(answers)
    return [_row(rows, behaviour) for behaviour in behaviours]


def _row(rows: Sequence[Judged], behaviour: str) -> BehaviourTable:
    shows = [behaviour in row.behaviours for row in rows]
    having = [row.correct for row in rows if behaviour in row.behaviours]
    lacking = [row.correct for row in rows if behaviour not in row.behaviours]
    return BehaviourTable(behaviour, len(having), len(lacking), mean(shows), mean(having), mean(lacking))


def conditional_advantages(
    responses: Iterable[Trained], behaviours: Sequence[str], divided: bool = False
) -> list[ConditionalAdvantage]:
    """Return the conditional advantage of each of `behaviours`, in their order. Each response counts once.

    divided: whether a response's advantage is divided by the unbiased standard deviation of its group's correctness.
    In a group whose responses are all right, or all wrong, every advantage is 0 either way.
    """
    judged = [(row, advantage) for group in _groups(responses) for row, advantage in _advantages(group, divided)]
    found = []
    for behaviour in behaviours:
        values = [advantage for row, advantage in judged if behaviour in row.behaviours]
        advantage = math.fsum(values) / len(values) if values else None
        found.append(ConditionalAdvantage(behaviour, len(values), advantage))
    return found


def _groups(responses: Iterable[Trained]) -> list[list[Trained]]:
    groups: dict[tuple[int, int], list[Trained]] = defaultdict(list)
    for response in responses:
        groups[response.step, response.slot].append(response)
    return list(groups.values())


def _advantages(group: Sequence[Trained], divided: bool) -> list[tuple[Trained, float]]:
    n, right = len(group), sum(row.correct for row in group)
    if right in (0, n):
        return [(row, 0.0) for row in group]
    deviation = math.sqrt(right * (n - right) / (n * (n - 1))) if divided else 1.0
    return [(row, (row.correct - right / n) / deviation) for row in group]
