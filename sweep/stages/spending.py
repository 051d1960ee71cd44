"""Count the tokens and the seconds that an attempt spends; sweep.run.costs.Spent keeps the account of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sweep.evaluate.accuracy import Evaluation
from sweep.rollout.sample import Sampled


def sampled_tokens(responses: Iterable[Sampled]) -> Counter:
    """Count the tokens of responses (`generated`) and of the prompts that they answer (`prompts`)."""
    counted = Counter()
    for response in responses:
        counted["generated"] += len(response.ids)
        counted["prompts"] += len(response.prompt_ids)
    return counted


def evaluated_tokens(found: Evaluation, prompts: Sequence[Sequence[int]]) -> Counter:
    """Count the same for an evaluation, from the mean length of its answers."""
    answers = found.problems * found.samples_per_problem
    return Counter(generated=round(found.tokens * answers), prompts=sum(map(len, prompts)) * found.samples_per_problem)


def seconds_of_steps(rows: Iterable[dict], after: int) -> float:
    """Return the seconds of the steps after `after`, from their metrics: with evaluations, without checkpoints."""
    parts = ("timing_s/step", "timing_s/evaluation")
    return sum(row.get(part) or 0.0 for row in rows if row["step"] > after for part in parts)
