"""Compute the metrics of behaviours: how often each is shown, how right such responses are, what truth favours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rewards.behaviours import BehavioursConfig
from sweep.score.behaviour import behaviour_table, conditional_advantages
from sweep.score.means import mean
from sweep.stages.grading import Graded
from sweep.stages.groups import Group


class _Shown(NamedTuple):
    """A response as `sweep.score.behaviour` reads it. All are of one step, whose number does not matter there."""

    slot: int
    correct: bool
    behaviours: tuple[str, ...]
    step: int = 0


def behaviour_metrics(groups: Sequence[Group[Graded]], config: BehavioursConfig) -> dict[str, float | None]:
    """Return the metrics of every detector, as docs/metrics.md defines them. Shares of nothing are None.

    `behaviour/undecided` is there only if the user has detectors of their own, because ours always decide.
    """
    rows = [
        _Shown(group.slot, graded.grade.correct, graded.behaviours.shown)
        for group in groups
        for graded in group.responses
    ]
    row: dict[str, float | None] = {}
    table, advantages = behaviour_table(rows, config.names), conditional_advantages(rows, config.names)
    for found, advantage in zip(table, advantages, strict=True):
        name = found.behaviour
        row[f"behaviour/{name}"] = found.frequency
        row[f"behaviour/true_given_{name}"] = found.accuracy_with
        row[f"behaviour/true_without_{name}"] = found.accuracy_without
        row[f"behaviour/{name}_conditional_advantage"] = advantage.advantage
    if config.own:
        responses = [graded for group in groups for graded in group.responses]
        row["behaviour/undecided"] = mean([bool(graded.behaviours.undecided) for graded in responses])
    return row
