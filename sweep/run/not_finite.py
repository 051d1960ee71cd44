"""Numbers that are not finite: the error that stops a run, and the file with the batch that caused it. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sweep.config.cell import CellConfig
from sweep.run.files import write_text

MOST_TOKENS = 2**18  # most tokens of responses in a file, which is then at most about 20 MB


class NotFinite(Exception):
    """A number is NaN or infinite, so that everything computed from it is meaningless.

    what: the numbers and where they occurred.
    evidence: the data that this process worked on, ready for JSON, if it had the number; it is not sent to other
    processes.
    message: the text for the user.
    """

    def __init__(self, what: str, evidence: dict | None = None, message: str = "") -> None:
        super().__init__(message or f"not finite: {what}. Look at the model's weights and at model.dtype")
        self.what, self.evidence, self.message = what, evidence, message

    def __reduce__(self) -> tuple:
        return type(self), (self.what, None, self.message)


def explained(fault: NotFinite, step: int, config: CellConfig, file: Path, went_back: int | None = None) -> NotFinite:
    """Return the error with the final message of a training, in one line: the step, the batch's file, and what to try.

    Args:
        went_back: the step of the checkpoint that training went back to earlier; None if it never has.
    """
    again = "" if went_back is None else f" Training went back once before, from step {went_back}."
    return NotFinite(
        fault.what,
        message=f"step {step}: not finite: {fault.what}. The step was given up, without a checkpoint; {file} holds "
        f"its batch: look there first.{again} {_remedies(config)}. Where another machine passes the step, suspect "
        "this one",
    )


def _remedies(config: CellConfig) -> str:
    rate, norm = config.optimizer.learning_rate, config.optimizer.max_grad_norm
    tried = [f"a lower optimizer.learning_rate (it is {rate:g})", f"a lower optimizer.max_grad_norm ({norm:g})"]
    if config.algorithm.clip_high is None:
        tried.append("a bound on the ratio (algorithm.clip_high is null)")
    elif not config.algorithm.on_policy:
        tried.append(f"a lower algorithm.clip_high ({config.algorithm.clip_high:g})")
    if config.model.dtype != "float32":
        tried.append("model.dtype=float32")
    return f"Then try {', '.join(tried[:-1])} or {tried[-1]}"


def write_batch(file: Path, step: int, fault: NotFinite, ranks: Iterable[dict], rollout: Sequence[dict]) -> None:
    """Write the data of the failed step to `file`, with NaN and infinities as strings.

    Args:
        ranks: the data of each process that had the number.
        rollout: the step's responses, with `prompt_ids` and `ids`; those beyond MOST_TOKENS are only counted.
    """
    kept = first_tokens(rollout)
    found = {"step": step, "not_finite": fault.what, "ranks": list(ranks), "rollout": kept}
    write_text(file, json.dumps(spelled({**found, "responses_left_out": len(rollout) - len(kept)})) + "\n")


def first_tokens(responses: Sequence[dict], most: int = MOST_TOKENS) -> list[dict]:
    """Return the first responses that have at most `most` tokens together, prompts included."""
    kept = []
    for response in responses:
        most -= len(response["prompt_ids"]) + len(response["ids"])
        if most < 0:
            break
        kept.append(response)
    return kept


def spelled(value: Any) -> Any:
    """Return `value` with NaN and infinities as "nan", "inf" and "-inf", which JSON can hold and float() reads."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {k: spelled(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [spelled(v) for v in value]
    return value
