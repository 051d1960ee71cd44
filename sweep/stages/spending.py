"""Count the tokens and the seconds that an attempt spends; sweep.run.costs.Spent keeps the account of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sweep.rollout.sample import Sampled


def sampled_tokens(responses: Iterable[Sampled]) -> Counter:
    """Count the tokens of responses (`generated`) and of the prompts that they answer (`prompts`)."""
    counted = Counter()
    for response in responses:
        counted["generated"] += len(response.ids)
        counted["prompts"] += len(response.prompt_ids)
    return counted


def seconds_of_steps(rows: Iterable[dict], after: int) -> float:
    """Return the seconds of the steps after `after`, from their metrics: with evaluations, without checkpoints."""
    parts = ("timing_s/step", "timing_s/evaluation")
    return sum(row.get(part) or 0.0 for row in rows if row["step"] > after for part in parts)
