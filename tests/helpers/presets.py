"""The algorithms of conf/algorithm with some of their fields changed."""

from __future__ import annotations

from functools import cache

from sweep.config.algorithm import AlgorithmConfig
from sweep.plan.compose import compose_cells

PRESETS = ["grpo", "paper", "dr_grpo", "dapo", "gspo", "rloo"]


@cache
def preset(name: str) -> AlgorithmConfig:
    return compose_cells([f"algorithm={name}"])[0].config.algorithm


def algorithm(base: str = "grpo", /, **changes) -> AlgorithmConfig:
    return AlgorithmConfig.model_validate(preset(base).model_dump() | changes)
