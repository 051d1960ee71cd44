"""Choose the responses that samples.jsonl keeps, and write a line for each.

All answers of a few groups are kept, so that they can be compared. Which groups these are is drawn from the step alone:
cells of one seed that train on the same problems have the same problem in the same place of the same step, whatever
their reward, model or algorithm, and so keep the answers to the same problems.
"""

from __future__ import annotations

from collections.abc import Sequence

from sweep.config.cell import CellConfig
from sweep.keyed import generator
from sweep.stages.at_hand import StepAtHand
from sweep.stages.grading import Graded
from sweep.stages.groups import Group


def kept_places(step: int, prompts: int, groups: int, every: int) -> list[int]:
    """Return the places, of `prompts` in a rollout, whose groups the step keeps; more groups add to fewer."""
    if step % every:
        return []
    return sorted(generator("samples", step).permutation(prompts)[:groups].tolist())


def sample_rows(config: CellConfig, step: int, groups: Sequence[Group[Graded]]) -> list[dict]:
    """Return the lines that a step adds to samples.jsonl; `groups` is its rollout, in the order of places."""
    kept = kept_groups(config, step, groups)
    return [row for group in kept for row in _rows(step, group, config.tracking.sample_characters)]


def kept_groups(config: CellConfig, step: int, groups: Sequence[Group[Graded]]) -> list[Group[Graded]]:
    """Return the groups of a step whose texts are kept; `groups` is its rollout, in the order of places."""
    tracking = config.tracking
    return [groups[i] for i in kept_places(step, len(groups), tracking.sample_groups, tracking.samples_every)]


def whole_rows(config: CellConfig, at_hand: StepAtHand) -> list[dict]:
    """Return everything known about each response of a step, for finding out what went wrong in it."""
    rows = [
        {
            **row,
            "key": [config.seed, "rollout", at_hand.step, group.slot, row["sample"]],
            "prompt_ids": list(graded.sampled.prompt_ids),
            "ids": graded.sampled.ids,
            "sampler_logprobs": graded.sampled.logprobs,
        }
        for group in at_hand.groups
        for row, graded in zip(_rows(at_hand.step, group, None), group.responses, strict=True)
    ]
    if not at_hand.with_advantages:
        return rows
    responses = [response for group in at_hand.with_advantages for response in group]
    return [row | {"advantage": r.advantage, "counted": r.counted} for row, r in zip(rows, responses, strict=True)]


def _rows(step: int, group: Group[Graded], characters: int | None) -> list[dict]:
    """Return a line for each response of a group; each of its texts has at most `characters` characters."""
    problem = group.problem
    return [
        {
            "step": step,
            "slot": group.slot,
            "sample": sample,
            "problem": problem.id,
            "question": shortened(problem.question, characters),
            "gold": problem.gold,
            **({} if problem.label is None else {"label": problem.label}),
            "response": shortened(graded.sampled.text, characters),
            "answer": graded.extracted and shortened(graded.extracted.text, characters),
            "extraction": graded.extracted and graded.extracted.strategy,
            "reward": graded.reward,
            "correct": graded.grade.correct,
            "outcome": graded.grade.outcome.value,
            "code": graded.code,
            "behaviours": list(graded.behaviours.shown),
            "finish": graded.sampled.finish.value,
            "tokens": len(graded.sampled.ids),
        }
        for sample, graded in enumerate(group.responses)
    ]


def shortened(text: str, characters: int | None) -> str:
    """Return `text`; if it has more than `characters`, a note of how many are left out replaces its middle."""
    if characters is None or len(text) <= characters:
        return text
    head = characters // 2
    tail = characters - head
    return f"{text[:head]} […{len(text) - characters} characters left out…] {text[-tail:]}"
