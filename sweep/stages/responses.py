"""The rows that a training keeps of the responses of a step: one for each that was sampled."""

from __future__ import annotations

import pyarrow as pa

from sweep.config.cell import CellConfig
from sweep.grpo.deal import WithAdvantage
from sweep.run.responses import COLUMNS
from sweep.stages.grading import Graded
from sweep.stages.groups import Group
from sweep.stages.metrics import StepDone
from sweep.stages.samples import kept_groups, shortened


def response_rows(config: CellConfig, step: int, done: StepDone) -> pa.Table:
    """Return a row for each response that was sampled in a step, with the columns of `sweep.run.responses`.

    Groups that resampling replaced are among them; their responses have no advantage and are not counted. Only the
    responses that samples.jsonl keeps have their text, cut as it is there.
    """
    groups, characters = done.rollout.groups, config.tracking.sample_characters
    advantages = {group.slot: dealt for group, dealt in zip(groups, done.with_advantages, strict=True)}
    with_text = {group.slot for group in kept_groups(config, step, groups)}
    rows = [
        {
            "step": step,
            "slot": group.slot,
            "sample": sample,
            "problem": group.problem.id,
            "text": shortened(graded.sampled.text, characters) if group.slot in with_text else None,
            **_graded(graded),
            **_dealt(advantages, group, sample),
        }
        for group in done.rollout.sampled
        for sample, graded in enumerate(group.responses)
    ]
    return pa.Table.from_pylist(rows, schema=COLUMNS)


def _graded(graded: Graded) -> dict:
    return {
        "reward": graded.reward,
        "correct": graded.grade.correct,
        "outcome": graded.grade.outcome.value,
        "strategy": graded.extracted and graded.extracted.strategy,
        "behaviours": list(graded.behaviours.shown),
        "tokens": len(graded.sampled.ids),
        "finish": graded.sampled.finish.value,
    }


def _dealt(advantages: dict[int, list[WithAdvantage]], group: Group[Graded], sample: int) -> dict:
    if group.slot not in advantages:
        return {"advantage": None, "counted": False}
    dealt = advantages[group.slot][sample]
    return {"advantage": dealt.advantage, "counted": dealt.counted}
