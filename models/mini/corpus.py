"""Synthetic worked solutions in three styles of reasoning, mixed differently for each family."""

from __future__ import annotations

import random
from dataclasses import dataclass

from models.mini.arithmetic import Sum, apply


@dataclass(frozen=True)
class Style:
    """One style of reasoning: its fraction of a family's corpus and the probability that a step is wrong."""

    share: float
    error: float


# The corpora are built to differ as the paper's families do: Qwen-mini mostly reasons in code and is better at it,
# Llama-mini writes no code, OLMo-mini writes code that is worse than its prose.
STYLES: dict[str, dict[str, Style]] = {
    "qwen": {"code": Style(0.65, 0.02), "prose": Style(0.15, 0.20), "guess": Style(0.20, 0.0)},
    "llama3": {"prose": Style(0.70, 0.06), "guess": Style(0.30, 0.0)},
    "olmo2": {"code": Style(0.35, 0.30), "prose": Style(0.45, 0.06), "guess": Style(0.20, 0.0)},
}


def solution(problem: Sum, style: str, error: float, rng: random.Random) -> str:
    """Return a worked solution in `style`. Each computed number is off by one or two with probability `error`.

    Later steps go on from a wrong number. The style `guess` states the answer without work.

    Raises:
        ValueError: there is no such style.
    """

    def slip(value: int) -> int:
        return value + rng.choice((-2, -1, 1, 2)) if rng.random() < error else value

    if style == "guess":
        return f"I guess:\n\\boxed{{{slip(problem.answer)}}}"
    partial = slip(problem.partial)
    answer = slip(apply(problem.op2, partial, problem.c))
    p = problem
    if style == "code":
        return f"```python\nx={p.a}{p.op1}{p.b} #{partial}\nx=x{p.op2}{p.c} #{answer}\n```\n\\boxed{{{answer}}}"
    if style == "prose":
        return f"First {p.a}{p.op1}{p.b}={partial}, then {partial}{p.op2}{p.c}={answer}.\n\\boxed{{{answer}}}"
    raise ValueError(f"unknown style {style!r}")


def sample_solution(problem: Sum, family: str, rng: random.Random) -> str:
    """Return a solution in a style drawn from the family's mixture."""
    styles = STYLES[family]
    name = rng.choices(list(styles), weights=[s.share for s in styles.values()])[0]
    return solution(problem, name, styles[name].error, rng)
