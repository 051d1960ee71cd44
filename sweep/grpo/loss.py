"""The policy loss: pure functions of named tensors (b responses, t response tokens)."""

from __future__ import annotations

import torch


def token_weights(mask_bt: torch.Tensor, aggregation: str, responses: int, tokens: int) -> torch.Tensor:
    """What each token counts in the loss of an update, so that all of the update's weights sum to 1.

    Args:
        mask_bt: 1 on response tokens, 0 on padding, of one micro-batch.
        aggregation: `sequence_mean`, every response counts alike and its tokens share it (GRPO, 2402.03300, eq. 3);
            or `token_mean`, every token counts alike (DAPO, 2503.14476, eq. 8).
        responses, tokens: of the whole update, over all micro-batches and processes.
    """
    mask_bt = mask_bt.float()
    if aggregation == "token_mean":
        return mask_bt / tokens
    return mask_bt / mask_bt.sum(dim=1, keepdim=True).clamp(min=1.0) / responses


def policy_loss(
    logprobs_bt: torch.Tensor,
    old_logprobs_bt: torch.Tensor,
    advantages_b: torch.Tensor,
    weights_bt: torch.Tensor,
    clip_low: float | None,
    clip_high: float | None,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The clipped surrogate, negated (PPO, 1707.06347, eq. 7), and what it did, each weighted by `weights_bt`.

    ratio = π/π_old; the objective is min(ratio·A, clip(ratio, 1 - clip_low, 1 + clip_high)·A). A bound of None does
    not clip on that side.

    Returns:
        loss: scalar, the share of this micro-batch in the update's loss.
        statistics: scalars that sum over micro-batches to the update's means: `clip_fraction_low` and
            `clip_fraction_high` (tokens whose gradient the bound cut), `ratio`, `policy_kl` (k3 estimate to π_old).
    """
    log_ratio_bt = logprobs_bt - old_logprobs_bt
    ratio_bt = log_ratio_bt.exp()
    advantages_b1 = advantages_b[:, None]
    low = 0.0 if clip_low is None else 1.0 - clip_low
    high = float("inf") if clip_high is None else 1.0 + clip_high
    objective_bt = torch.minimum(ratio_bt * advantages_b1, ratio_bt.clamp(low, high) * advantages_b1)
    loss = -(objective_bt * weights_bt).sum()
    with torch.no_grad():
        statistics = {
            "clip_fraction_low": ((ratio_bt < low) & (advantages_b1 < 0)).float(),
            "clip_fraction_high": ((ratio_bt > high) & (advantages_b1 > 0)).float(),
            "ratio": ratio_bt,
            "policy_kl": ratio_bt - 1.0 - log_ratio_bt,
        }
        statistics = {name: (value_bt * weights_bt).sum() for name, value_bt in statistics.items()}
    return loss, statistics
