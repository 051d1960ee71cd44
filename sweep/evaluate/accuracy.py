"""Evaluate a policy on problems: sample answers, grade them against the gold answers, and average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.distributed as dist
from transformers import PreTrainedModel

from rewards.behaviour import uses_code
from rewards.grading import Grader, Outcome
from sweep.config.cell import EvaluationConfig
from sweep.data.problems import Problem
from sweep.evaluate.answers import grade_texts
from sweep.job.processes import gather, together
from sweep.rollout.sample import Finish, Request, Sampler
from sweep.run.not_finite import NotFinite


@dataclass(frozen=True)
class Evaluation:
    """Means over all answers to all problems. `tokens` is a length; the other means lie in [0, 1].

    `code_accuracy` and `prose_accuracy` are None if no answer has code, or if all have.
    """

    accuracy: float
    code: float
    code_accuracy: float | None
    prose_accuracy: float | None
    truncated: float
    tokens: float
    unparsed: float
    timeouts: float
    problems: int
    samples_per_problem: int


def evaluate(
    sampler: Sampler,
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    problems: Sequence[Problem],
    settings: EvaluationConfig,
    grader: Grader,
) -> Evaluation:
    """Sample `samples_per_problem` answers to each problem and grade them against the gold answers.

    The draws are keyed by problem and sample alone. Every run, at every step, is therefore evaluated with the same
    random numbers, which takes noise out of differences. The problems are dealt out over the processes.

    Raises:
        NotFinite: on all processes, if the model's logits are not finite.
    """
    rank, world = dist.get_rank(), dist.get_world_size()
    mine = range(rank, len(problems), world)
    requests = [
        Request(prompts[i], ("evaluation", problems[i].id, s))
        for i in mine
        for s in range(settings.samples_per_problem)
    ]
    with together(NotFinite):
        answers = sampler.sample(model, requests, settings.temperature)
    golds = [problems[i].answers for i in mine for _ in range(settings.samples_per_problem)]
    graded = grade_texts(grader, [a.text for a in answers], golds)
    rows = gather(
        [
            (found.grade.correct, uses_code(a.text), a.finish is Finish.LENGTH, len(a.ids), found.grade.outcome)
            for a, found in zip(answers, graded, strict=True)
        ]
    )
    return summarise(rows, len(problems), settings.samples_per_problem)


def summarise(rows: Sequence[tuple[bool, bool, bool, int, Outcome]], problems: int, samples: int) -> Evaluation:
    """Return the means of (correct, code, truncated, tokens, outcome) rows."""
    return Evaluation(
        accuracy=_mean([r[0] for r in rows]),
        code=_mean([r[1] for r in rows]),
        code_accuracy=_mean([r[0] for r in rows if r[1]]),
        prose_accuracy=_mean([r[0] for r in rows if not r[1]]),
        truncated=_mean([r[2] for r in rows]),
        tokens=_mean([r[3] for r in rows]),
        unparsed=_mean([r[4] is Outcome.UNPARSED for r in rows]),
        timeouts=_mean([r[4] is Outcome.TIMEOUT for r in rows]),
        problems=problems,
        samples_per_problem=samples,
    )


def _mean(values: list) -> float | None:
    return sum(values) / len(values) if values else None
