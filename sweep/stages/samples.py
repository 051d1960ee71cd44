"""Which responses samples.jsonl keeps, and what it says of each: all answers of a few groups, so that they compare.

The places of the groups in a step's rollout are drawn by the step alone. Cells of one seed that train on the same
problems have the same problem in the same place of the same step, whatever their reward, model or algorithm, and so
keep the answers to the same problems.
"""

from __future__ import annotations

from collections.abc import Sequence

from sweep.config.cell import CellConfig
from sweep.grpo.deal import Scored
from sweep.keyed import generator
from sweep.stages.grading import Graded


def kept_places(step: int, prompts: int, groups: int, every: int) -> list[int]:
    """The places, of `prompts` in a rollout, whose groups the step keeps, in order; more groups add to fewer."""
    if step % every:
        return []
    return sorted(generator("samples", step).permutation(prompts)[:groups].tolist())


def sample_rows(config: CellConfig, step: int, batch: Sequence[Graded]) -> list[dict]:
    """The lines that a step adds to samples.jsonl; `batch`: its responses, group by group in the order of places."""
    tracking, size = config.tracking, config.algorithm.samples_per_prompt
    places = kept_places(step, config.algorithm.prompts_per_step, tracking.sample_groups, tracking.samples_every)
    return [
        _row(step, sample, graded, tracking.sample_characters)
        for place in places
        for sample, graded in enumerate(batch[place * size : (place + 1) * size])
    ]


def whole_rows(config: CellConfig, step: int, batch: Sequence[Graded], scored: Sequence[Scored]) -> list[dict]:
    """All that is known of each response of a step, to find out what went wrong in it.

    Args:
        scored: the responses with their advantages; empty where the step did not come so far.
    """
    size = config.algorithm.samples_per_prompt
    rows = [
        {
            **_row(step, k % size, graded, None),
            "key": [config.seed, "rollout", step, graded.slot, k % size],
            "prompt_ids": list(graded.sampled.prompt_ids),
            "ids": graded.sampled.ids,
            "sampler_logprobs": graded.sampled.logprobs,
        }
        for k, graded in enumerate(batch)
    ]
    if not scored:
        return rows
    return [row | {"advantage": s.advantage, "counted": s.counted} for row, s in zip(rows, scored, strict=True)]


def _row(step: int, sample: int, graded: Graded, characters: int | None) -> dict:
    return {
        "step": step,
        "slot": graded.slot,
        "sample": sample,
        "problem": graded.problem.id,
        "question": shortened(graded.problem.question, characters),
        "gold": graded.problem.gold,
        **({} if graded.problem.label is None else {"label": graded.problem.label}),
        "response": shortened(graded.sampled.text, characters),
        "answer": graded.extracted and shortened(graded.extracted.text, characters),
        "extraction": graded.extracted and graded.extracted.strategy,
        "reward": graded.reward,
        "correct": graded.grade.correct,
        "outcome": graded.grade.outcome.value,
        "code": graded.code,
        "finish": graded.sampled.finish.value,
        "tokens": len(graded.sampled.ids),
    }


def shortened(text: str, characters: int | None) -> str:
    """`text`, whose middle gives way to a note of how much is left out where it has more than `characters`."""
    if characters is None or len(text) <= characters:
        return text
    head = characters // 2
    tail = characters - head
    return f"{text[:head]} […{len(text) - characters} characters left out…] {text[-tail:]}"
