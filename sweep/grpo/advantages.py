"""Compute advantages from rewards: pure functions of tensors whose dimensions are p prompts, g responses of a group."""

from __future__ import annotations

import torch

from sweep.config.algorithm import AlgorithmConfig


def zero_variance(rewards_pg: torch.Tensor) -> torch.Tensor:
    """Return for each group whether all its rewards are equal (p)."""
    return (rewards_pg == rewards_pg[:, :1]).all(dim=1)


def shaped_rewards(
    rewards_pg: torch.Tensor,
    lengths_pg: torch.Tensor,
    kl_pg: torch.Tensor | None,
    algorithm: AlgorithmConfig,
    max_tokens: int,
) -> torch.Tensor:
    """Return rewards (p, g) less the penalties that `algorithm` takes from them.

    Overlong responses (DAPO, 2503.14476, eq. 13): nothing up to the buffer, the last `overlong_buffer · max_tokens`
    tokens; from there linearly up to `overlong_penalty` at `max_tokens`. KL to the initial policy: `kl_coefficient`
    times `kl_pg`, the sum of the per-token estimates over the response.
    """
    if algorithm.overlong_buffer is not None:
        buffer = algorithm.overlong_buffer * max_tokens
        overshoot_pg = ((lengths_pg - (max_tokens - buffer)) / buffer).clamp(0.0, 1.0)
        rewards_pg = rewards_pg - algorithm.overlong_penalty * overshoot_pg
    if kl_pg is not None:
        rewards_pg = rewards_pg - algorithm.kl_coefficient * kl_pg
    return rewards_pg


def group_advantages(rewards_pg: torch.Tensor, baseline: str, normalisation: str, epsilon: float) -> torch.Tensor:
    """Return the advantages (p, g) of rewards (p, g).

    `group_mean` subtracts the group's mean (DeepSeekMath, 2402.03300, section 4.1.2), `leave_one_out` the mean of the
    group's other responses (RLOO, 2402.14740, eq. 8). `group_std` divides by the group's unbiased standard deviation
    plus `epsilon`. A group of equal rewards has advantages of exactly 0 under either baseline.
    """
    advantages_pg = rewards_pg
    if baseline != "none":
        advantages_pg = rewards_pg - rewards_pg.mean(dim=1, keepdim=True)
        # The mean of equal numbers may differ from them by rounding; dividing by a tiny std would blow that up.
        advantages_pg = advantages_pg.masked_fill(zero_variance(rewards_pg)[:, None], 0.0)
    if baseline == "leave_one_out":
        size = rewards_pg.shape[1]
        advantages_pg = advantages_pg * (size / (size - 1))  # r - (S - r)/(g - 1) = (r - S/g) · g/(g - 1)
    if normalisation == "group_std":
        advantages_pg = advantages_pg / (rewards_pg.std(dim=1, keepdim=True) + epsilon)
    return advantages_pg


def whiten(advantages_pg: torch.Tensor, lengths_pg: torch.Tensor) -> torch.Tensor:
    """Return advantages (p, g) less their mean, over their deviation; a response counts once for each token.

    The second normalisation in the code of 2506.10947, over the whole rollout: the standard deviation is the biased
    one, its square at least 1e-8. Groups of equal rewards, whose advantage was 0, thereby get one.
    """
    shares_pg = lengths_pg / lengths_pg.sum()
    centred_pg = advantages_pg - (shares_pg * advantages_pg).sum()
    return centred_pg * (shares_pg * centred_pg**2).sum().clamp(min=1e-8).rsqrt()


def rollout_advantages(
    rewards_pg: torch.Tensor,
    lengths_pg: torch.Tensor,
    kl_pg: torch.Tensor | None,
    algorithm: AlgorithmConfig,
    max_tokens: int,
) -> torch.Tensor:
    """Return the advantages (p, g) of a rollout: shaping, baseline, normalisation, whitening."""
    shaped_pg = shaped_rewards(rewards_pg, lengths_pg, kl_pg, algorithm, max_tokens)
    advantages_pg = group_advantages(shaped_pg, algorithm.baseline, algorithm.normalisation, algorithm.epsilon)
    return whiten(advantages_pg, lengths_pg) if algorithm.whitening else advantages_pg
