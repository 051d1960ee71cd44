"""Evaluate a policy on a split of problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.distributed as dist
from transformers import PreTrainedModel

from rewards.behaviour import uses_code
from rewards.grading import Grader, Outcome
from sweep.config.cell import EvaluationConfig
from sweep.data.golds import grade_any
from sweep.data.problems import Problem
from sweep.job.processes import gather, together
from sweep.rollout.sample import Finish, Request, Sampler
from sweep.run.not_finite import NotFinite


@dataclass(frozen=True)
class Evaluation:
    """Means over problems and samples; shares lie in [0, 1]."""

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

    The draws are keyed by problem and sample alone: every run, at every step, is evaluated with the same random
    numbers, which takes noise out of differences. Problems are dealt out over the processes.

    Raises:
        NotFinite: on all processes: the model's logits are not.
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
    found = [grader.extract(a.text) for a in answers]
    grades = grade_any(grader, [(f and f.text, of) for f, of in zip(found, golds, strict=True)])
    rows = gather(
        [
            (grade.correct, uses_code(a.text), a.finish is Finish.LENGTH, len(a.ids), grade.outcome)
            for a, grade in zip(answers, grades, strict=True)
        ]
    )
    return summarise(rows, len(problems), settings.samples_per_problem)


def summarise(rows: Sequence[tuple[bool, bool, bool, int, Outcome]], problems: int, samples: int) -> Evaluation:
    """Means of (correct, code, truncated, tokens, outcome) rows."""
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
