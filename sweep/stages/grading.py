"""Grade a rollout: the training reward of each response, and beside it the true grade and the behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rewards.base import Response, Signal
from rewards.behaviours import Behaviours, Found
from rewards.detectors import CODE
from rewards.extraction import Extracted, Strategy
from rewards.grading import Grade, Grader, Outcome
from rewards.informedness import Judged, mixed, rates, rates_within
from sweep.data.verdicts import GradedAnswer, grade_texts
from sweep.keyed import generator
from sweep.rollout.sample import Finish, Sampled
from sweep.stages.groups import Group


@dataclass(frozen=True)
class Graded:
    """A sampled response with its training reward, its true grade, the answer found in it, and its behaviours."""

    sampled: Sampled
    reward: float
    grade: Grade
    extracted: Extracted | None
    behaviours: Found

    @property
    def code(self) -> bool:
        """True if the text has code, as the paper detects it."""
        return CODE in self.behaviours.shown


def grade_groups(
    groups: Sequence[Group[Sampled]], grader: Grader, behaviours: Behaviours, reward: Signal, seed: int, step: int
) -> list[Group[Graded]]:
    """Return the same groups with graded responses.

    The draws of a response are keyed by seed, step, slot and sample. The key names the slot and not the problem,
    because one-shot training repeats a problem within a rollout.
    """
    texts = [response.text for group in groups for response in group.responses]
    golds = [group.problem.answers for group in groups for _ in group.responses]
    found = iter(grade_texts(grader, texts, golds))
    answers = [[next(found) for _ in group.responses] for group in groups]
    seen = [_as_rewards_see(group, of, seed, step) for group, of in zip(groups, answers, strict=True)]
    rewards = reward.score(seen, lambda pairs: [grade.correct for grade in grader.grade(pairs)])
    shown = iter(behaviours.detect_all(texts))
    found_in = [[next(shown) for _ in group.responses] for group in groups]
    return [_graded_group(*parts) for parts in zip(groups, answers, rewards, found_in, strict=True)]


def _as_rewards_see(group: Group[Sampled], answers: Sequence[GradedAnswer], seed: int, step: int) -> list[Response]:
    return [
        Response(
            question=group.problem.question,
            text=sampled.text,
            gold=group.problem.answer,
            answer=answer.text,
            correct=answer.grade.correct,
            truncated=sampled.finish is Finish.LENGTH,
            draw=_draws(seed, step, group.slot, number),
            label=group.problem.label,
        )
        for number, (sampled, answer) in enumerate(zip(group.responses, answers, strict=True))
    ]


def _graded_group(
    group: Group[Sampled], answers: Sequence[GradedAnswer], rewards: Sequence[float], found: Sequence[Found]
) -> Group[Graded]:
    graded = [
        Graded(sampled, reward, answer.grade, answer.extracted, behaviours)
        for sampled, answer, reward, behaviours in zip(group.responses, answers, rewards, found, strict=True)
    ]
    return Group(group.slot, group.problem, graded)


def _draws(seed: int, step: int, slot: int, sample: int) -> Callable[[str], float]:
    return lambda purpose: float(generator(purpose, seed, step, slot, sample).random())


def graded_metrics(groups: Sequence[Group[Graded]], strategies: Sequence[Strategy]) -> dict[str, float | None]:
    """Return the metrics of grades that docs/rewards.md defines. Shares are None if there is nothing to count.

    Args:
        strategies: the ways of extraction; how often each found the answer is a metric of its own.
    """
    responses = [graded for group in groups for graded in group.responses]
    rewarded = [g for g in responses if g.reward > 0]
    found = [g.extracted.strategy for g in responses if g.extracted]
    return {
        "reward/true_mean": _fraction(g.grade.correct for g in responses),
        "reward/agreement": _fraction((g.reward > 0) == g.grade.correct for g in responses),
        "reward/true_given_rewarded": _fraction(g.grade.correct for g in rewarded),
        **_informedness(groups),
        "behaviour/code_given_rewarded": _fraction(g.code for g in rewarded),
        "behaviour/true_given_prose": _fraction(g.grade.correct for g in responses if not g.code),
        "grading/no_answer": _fraction(g.grade.outcome is Outcome.NONE for g in responses),
        "grading/unparsed": _fraction(g.grade.outcome is Outcome.UNPARSED for g in responses),
        "grading/timeouts": _fraction(g.grade.outcome is Outcome.TIMEOUT for g in responses),
        "grading/text_gold": _fraction(g.grade.text_gold for g in responses),
        **{f"grading/{strategy}": found.count(strategy) / len(responses) for strategy in strategies},
    }


def _informedness(groups: Sequence[Group[Graded]]) -> dict[str, float | None]:
    """Return how well the training reward separates right from wrong responses, within groups and over the rollout."""
    judged = [[Judged(g.reward > 0, g.grade.correct) for g in group.responses] for group in groups]
    within, pooled = rates_within(judged), rates([response for group in judged for response in group])
    return {
        "reward/mixed_share": len(mixed(judged)) / len(judged),
        "reward/true_positive_rate": within.true_positive,
        "reward/false_positive_rate": within.false_positive,
        "reward/informedness": within.informedness,
        "reward/pooled_true_positive_rate": pooled.true_positive,
        "reward/pooled_false_positive_rate": pooled.false_positive,
        "reward/pooled_informedness": pooled.informedness,
    }


def _fraction(values: Iterable[bool]) -> float | None:
    counted = list(values)
    return sum(counted) / len(counted) if counted else None
