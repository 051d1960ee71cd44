"""Advantages from rewards: a pure function of each group."""

from __future__ import annotations

import torch

EPSILON = 1e-6


def group_advantages(rewards_pg: torch.Tensor, baseline: str, normalisation: str) -> torch.Tensor:
    """Advantages (prompts, group) of rewards (prompts, group).

    `group_mean` subtracts the group's mean; `group_std` divides by the group's unbiased standard deviation plus 1e-6
    (DeepSeekMath, 2402.03300, section 4.1.2). A group of equal rewards has advantages of exactly 0.
    """
    advantages_pg = rewards_pg
    if baseline == "group_mean":
        advantages_pg = rewards_pg - rewards_pg.mean(dim=1, keepdim=True)
        # The mean of equal numbers may differ from them by rounding; dividing by a tiny std would blow that up.
        equal_p1 = (rewards_pg == rewards_pg[:, :1]).all(dim=1, keepdim=True)
        advantages_pg = advantages_pg.masked_fill(equal_p1, 0.0)
    if normalisation == "group_std":
        advantages_pg = advantages_pg / (rewards_pg.std(dim=1, keepdim=True) + EPSILON)
    return advantages_pg
