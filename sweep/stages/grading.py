"""Rewards of a rollout, each computed once: the training reward and, beside it, the true one and the behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from rewards.base import Response
from rewards.behaviour import uses_code
from rewards.extraction import Extracted, Strategy
from rewards.grading import Grade, Grader, Outcome
from rewards.informedness import Judged, mixed, rates, rates_within
from sweep.config.cell import CellConfig
from sweep.data.golds import grade_any
from sweep.data.problems import Problem
from sweep.keyed import generator
from sweep.rollout.sample import Finish, Sampled


@dataclass(frozen=True)
class Graded:
    """A response with everything known of it."""

    slot: int
    problem: Problem
    sampled: Sampled
    reward: float
    grade: Grade
    extracted: Extracted | None
    code: bool


@dataclass(frozen=True)
class Group:
    """The responses to the problem in a slot of the step's rollout."""

    slot: int
    problem: Problem
    answers: Sequence[Sampled]


def grade_groups(config: CellConfig, grader: Grader, step: int, groups: Sequence[Group]) -> list[Graded]:
    """Every response of the groups, graded, group by group.

    The draws of a response are keyed by seed, step, slot and sample: by slot and not by problem, because one-shot
    training repeats a problem within a batch.
    """
    found = [[grader.extract(a.text) for a in group.answers] for group in groups]
    pairs = [(f and f.text, group.problem.answers) for group, of in zip(groups, found, strict=True) for f in of]
    grades = iter(grade_any(grader, pairs))
    graded = [[next(grades) for _ in group.answers] for group in groups]
    responses = [
        [
            Response(
                question=group.problem.question,
                text=a.text,
                gold=group.problem.answer,
                answer=f and f.text,
                correct=grade.correct,
                truncated=a.finish is Finish.LENGTH,
                draw=_draws(config.seed, step, group.slot, s),
                label=group.problem.label,
            )
            for s, (a, f, grade) in enumerate(zip(group.answers, of, marks, strict=True))
        ]
        for group, of, marks in zip(groups, found, graded, strict=True)
    ]
    rewards = config.reward.score(responses, lambda asked: [g.correct for g in grader.grade(asked)])
    return [
        Graded(group.slot, group.problem, a, reward, grade, f, uses_code(a.text))
        for group, of, marks, rewarded in zip(groups, found, graded, rewards, strict=True)
        for a, f, grade, reward in zip(group.answers, of, marks, rewarded, strict=True)
    ]


def _draws(seed: int, step: int, slot: int, sample: int):
    return lambda purpose: float(generator(purpose, seed, step, slot, sample).random())


def graded_metrics(batch: Sequence[Graded], strategies: Sequence[Strategy]) -> dict:
    """The metrics of docs/rewards.md; `batch` has the responses of a slot one after the other."""
    rewarded = [g for g in batch if g.reward > 0]
    found = [g.extracted.strategy for g in batch if g.extracted]
    return {
        "reward/true_mean": _share(g.grade.correct for g in batch),
        "reward/agreement": _share((g.reward > 0) == g.grade.correct for g in batch),
        "reward/true_given_rewarded": _share(g.grade.correct for g in rewarded),
        **_informedness(batch),
        "behaviour/code": _share(g.code for g in batch),
        "behaviour/code_given_rewarded": _share(g.code for g in rewarded),
        "behaviour/true_given_code": _share(g.grade.correct for g in batch if g.code),
        "behaviour/true_given_prose": _share(g.grade.correct for g in batch if not g.code),
        "grading/no_answer": _share(g.grade.outcome is Outcome.NONE for g in batch),
        "grading/unparsed": _share(g.grade.outcome is Outcome.UNPARSED for g in batch),
        "grading/timeouts": _share(g.grade.outcome is Outcome.TIMEOUT for g in batch),
        "grading/text_gold": _share(g.grade.text_gold for g in batch),
        **{f"grading/{strategy}": found.count(strategy) / len(batch) for strategy in strategies},
    }


def _informedness(batch: Sequence[Graded]) -> dict[str, float | None]:
    """What the training reward says of the truth, within groups and over the batch."""
    slots = groupby(batch, key=lambda g: g.slot)
    groups = [[Judged(g.reward > 0, g.grade.correct) for g in group] for _, group in slots]
    within, pooled = rates_within(groups), rates([response for group in groups for response in group])
    return {
        "reward/mixed_share": len(mixed(groups)) / len(groups),
        "reward/true_positive_rate": within.true_positive,
        "reward/false_positive_rate": within.false_positive,
        "reward/informedness": within.informedness,
        "reward/pooled_true_positive_rate": pooled.true_positive,
        "reward/pooled_false_positive_rate": pooled.false_positive,
        "reward/pooled_informedness": pooled.informedness,
    }


def _share(values) -> float | None:
    counted = list(values)
    return sum(counted) / len(counted) if counted else None
