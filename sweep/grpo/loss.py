"""The policy loss: pure functions of named tensors.

Names end in the letters of their dimensions: b responses, t response tokens. docs/algorithms.md has the same as
formulas, for each preset. Log-probs of the same tokens come from up to four sources, which names tell apart:
`trainer` is the policy as it is now, `old_trainer` the same model as it was when the rollout was sampled, `sampler` is
what the sampling engine reported then, and `reference` the initial policy. `ratio_denominator` chooses between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sweep.config.algorithm import AlgorithmConfig


def response_weights(
    lengths: Sequence[int], aggregation: str, max_tokens: int, aggregation_size: int | None = None
) -> list[float]:
    """Return the weight of each response's tokens in the loss of its update: a number for each response.

    It depends on the lengths of the update alone, so that micro-batches and processes cannot change a loss.

    Args:
        lengths: tokens of each response of the update, in its order.
        aggregation: with n responses and their tokens,
            `sequence_mean`: mean over a response's tokens, then over responses (GRPO, 2402.03300, eq. 3);
            `token_mean`: mean over all tokens (DAPO, 2503.14476, eq. 8);
            `sequence_sum`: sum over a response's tokens, mean over responses (REINFORCE, RLOO);
            `fixed_length`: sum over all tokens, divided by n · `max_tokens` (Dr. GRPO, 2503.20783);
            `micro_batch_mean`: mean over the tokens of each `aggregation_size` responses in turn, then over those
            (the code of 2506.10947); the last of them may be fewer.
    """
    count = len(lengths)
    if aggregation == "sequence_mean":
        return [1 / (count * length) for length in lengths]
    if aggregation == "token_mean":
        return [1 / sum(lengths)] * count
    if aggregation == "sequence_sum":
        return [1 / count] * count
    if aggregation == "fixed_length":
        return [1 / (count * max_tokens)] * count
    if aggregation == "micro_batch_mean":
        batches = [lengths[k : k + aggregation_size] for k in range(0, count, aggregation_size)]
        return [1 / (len(batches) * sum(batch)) for batch in batches for _ in batch]
    raise ValueError(f"aggregation {aggregation!r} is unknown")


@dataclass(frozen=True)
class LossInputs:
    """The tensors of a micro-batch. Log-probs are at the sampling temperature, and 0 on padding.

    trainer_logprobs_bt: of the policy as it is now, with gradient.
    entropy_bt: of the policy as it is now; with gradient if the algorithm has an entropy bonus.
    denominator_logprobs_bt: what the ratio divides by; see `ratio_denominator`.
    sampler_logprobs_bt: what the sampling engine reported.
    old_trainer_logprobs_bt: the trainer's own, of the policy that sampled; None if they were not computed.
    reference_logprobs_bt: of the initial policy; None without a KL term in the loss.
    advantages_b: of each response.
    mask_bt: 1 on response tokens, 0 on padding.
    weights_bt: the weight of each token in the loss, 0 on padding.
    shares_bt: the weight of each token in the statistics' means, 0 on padding; over the update they sum to 1.

    Raises:
        ValueError: a tensor has another shape than its name says.
    """

    trainer_logprobs_bt: torch.Tensor
    entropy_bt: torch.Tensor
    denominator_logprobs_bt: torch.Tensor
    sampler_logprobs_bt: torch.Tensor
    old_trainer_logprobs_bt: torch.Tensor | None
    reference_logprobs_bt: torch.Tensor | None
    advantages_b: torch.Tensor
    mask_bt: torch.Tensor
    weights_bt: torch.Tensor
    shares_bt: torch.Tensor

    def __post_init__(self) -> None:
        shape_bt = self.trainer_logprobs_bt.shape
        if len(shape_bt) != 2:
            raise ValueError(f"trainer_logprobs_bt has shape {tuple(shape_bt)}, not (responses, tokens)")
        for name, tensor in vars(self).items():
            expected = shape_bt if name.endswith("_bt") else shape_bt[:1]
            if tensor is not None and tensor.shape != expected:
                raise ValueError(
                    f"{name} has shape {tuple(tensor.shape)}, not {tuple(expected)} as trainer_logprobs_bt asks for"
                )


@dataclass(frozen=True)
class Statistics:
    """Diagnostics of one micro-batch, each a scalar.

    means: weighted by `shares_bt`, so that their sums over the micro-batches of an update are means over its tokens.
    minima, maxima: the least and the greatest value in the micro-batch.
    """

    means: dict[str, torch.Tensor]
    minima: dict[str, torch.Tensor]
    maxima: dict[str, torch.Tensor]


def ratio_denominator(
    algorithm: AlgorithmConfig,
    trainer_logprobs_bt: torch.Tensor,
    old_trainer_logprobs_bt: torch.Tensor | None,
    sampler_logprobs_bt: torch.Tensor,
) -> torch.Tensor:
    """Return the log-probs that the ratio divides by, without gradient.

    `on_policy`: the policy itself, so that the ratio is exactly 1 and only its gradient remains.
    `old_logprobs=sampler`: what the sampling engine reported.
    `old_logprobs=trainer`: the trainer's own, of the policy that sampled.
    """
    if algorithm.on_policy:
        return trainer_logprobs_bt.detach()
    return sampler_logprobs_bt if algorithm.old_logprobs == "sampler" else old_trainer_logprobs_bt


def policy_loss(inputs: LossInputs, algorithm: AlgorithmConfig) -> tuple[torch.Tensor, Statistics]:
    """Return the negated objective: surrogate, less the KL penalty, plus the entropy bonus, weighted by `weights_bt`.

    Returns:
        loss: scalar, the part of the update's loss that comes from this micro-batch.
        statistics: entropy; ratio, ratio_min, ratio_max; clip_fraction_low, _high and _region (tokens whose gradient a
            bound cut); policy_kl (k3 of KL(π_old ‖ π), whose samples these are) and reference_kl (k3 of KL(π ‖ π_ref));
            sampler_difference and sampler_difference_max (|log π_trainer - log π_sampler| of the policy that sampled).
    """
    trainer_bt, denominator_bt = inputs.trainer_logprobs_bt, inputs.denominator_logprobs_bt
    ratio_bt = level_log_ratio(trainer_bt - denominator_bt, inputs.mask_bt, algorithm.ratio_level).exp()
    objective_ratio_bt = trainer_bt.exp() if algorithm.ratio == "probability" else ratio_bt
    advantages_b1 = inputs.advantages_b[:, None]
    gain_bt = clipped_surrogate(objective_ratio_bt, advantages_b1, algorithm.clip_low, algorithm.clip_high)
    if algorithm.tis_cap is not None:
        gain_bt = gain_bt * truncated_correction(denominator_bt, inputs.sampler_logprobs_bt, algorithm.tis_cap)
    if inputs.reference_logprobs_bt is not None:
        kl_bt = kl_estimate(trainer_bt, inputs.reference_logprobs_bt, algorithm.kl_estimator)
        gain_bt = gain_bt - algorithm.kl_coefficient * kl_bt
    if algorithm.entropy_coefficient:
        gain_bt = gain_bt + algorithm.entropy_coefficient * inputs.entropy_bt
    loss = -(gain_bt * inputs.weights_bt).sum()
    with torch.no_grad():
        return loss, _statistics(inputs, ratio_bt, advantages_b1, algorithm)


def level_log_ratio(log_ratio_bt: torch.Tensor, mask_bt: torch.Tensor, level: str) -> torch.Tensor:
    """Return each token's log-ratio, or at level `sequence` its mean over the response (GSPO, 2507.18071, eq. 7)."""
    if level == "token":
        return log_ratio_bt
    mean_b1 = (log_ratio_bt * mask_bt).sum(1, keepdim=True) / mask_bt.sum(1, keepdim=True).clamp(min=1)
    return mean_b1.expand_as(log_ratio_bt)


def clipped_surrogate(
    ratio_bt: torch.Tensor, advantages_b1: torch.Tensor, clip_low: float | None, clip_high: float | None
) -> torch.Tensor:
    """min(ratio·A, clip(ratio, 1 - clip_low, 1 + clip_high)·A) (PPO, 1707.06347, eq. 7); None does not clip there."""
    low, high = _bounds(clip_low, clip_high)
    return torch.minimum(ratio_bt * advantages_b1, ratio_bt.clamp(low, high) * advantages_b1)


def _bounds(clip_low: float | None, clip_high: float | None) -> tuple[float, float]:
    return 0.0 if clip_low is None else 1.0 - clip_low, float("inf") if clip_high is None else 1.0 + clip_high


def truncated_correction(trainer_bt: torch.Tensor, sampler_bt: torch.Tensor, cap: float) -> torch.Tensor:
    """Return min(π_trainer/π_sampler, cap) of log-probs, without gradient (Ionides, 2008).

    This is truncated importance sampling.
    """
    return (trainer_bt - sampler_bt).detach().exp().clamp(max=cap)


def kl_estimate(logprobs_bt: torch.Tensor, reference_bt: torch.Tensor, estimator: str) -> torch.Tensor:
    """Return estimates of KL(π ‖ π_ref) at each sampled token. With d = log π - log π_ref:

    k1 = d, unbiased; k2 = d²/2, whose gradient is unbiased on policy; k3 = exp(-d) - 1 + d, unbiased and never negative
    (DeepSeekMath, 2402.03300, eq. 4). The gradient of k1 itself is 0 in expectation: it is meant for the reward.
    """
    d_bt = logprobs_bt - reference_bt
    if estimator == "k1":
        return d_bt
    return d_bt**2 / 2 if estimator == "k2" else torch.expm1(-d_bt) + d_bt


def _statistics(
    inputs: LossInputs, ratio_bt: torch.Tensor, advantages_b1: torch.Tensor, algorithm: AlgorithmConfig
) -> Statistics:
    low, high = _bounds(algorithm.clip_low, algorithm.clip_high)
    cut_low_bt, cut_high_bt = (ratio_bt < low) & (advantages_b1 < 0), (ratio_bt > high) & (advantages_b1 > 0)
    # On policy the denominator is the policy itself, whose distance is 0: the sampler's log-probs then stand for π_old.
    old_bt = inputs.sampler_logprobs_bt if algorithm.on_policy else inputs.denominator_logprobs_bt
    means = {
        "entropy": inputs.entropy_bt,
        "ratio": ratio_bt,
        "clip_fraction_low": cut_low_bt.float(),
        "clip_fraction_high": cut_high_bt.float(),
        "clip_fraction_region": (cut_low_bt | cut_high_bt).float(),
        "policy_kl": kl_estimate(old_bt, inputs.trainer_logprobs_bt, "k3"),
    }
    if inputs.reference_logprobs_bt is not None:
        means["reference_kl"] = kl_estimate(inputs.trainer_logprobs_bt, inputs.reference_logprobs_bt, "k3")
    infinity = float("inf")
    counted_bt = inputs.shares_bt > 0
    maxima = {"ratio_max": ratio_bt.masked_fill(~counted_bt, -infinity).max()}
    if inputs.old_trainer_logprobs_bt is not None:
        difference_bt = (inputs.old_trainer_logprobs_bt - inputs.sampler_logprobs_bt).abs()
        means["sampler_difference"] = difference_bt
        maxima["sampler_difference_max"] = difference_bt.masked_fill(~counted_bt, 0.0).max()
    return Statistics(
        means={name: (value_bt * inputs.shares_bt).sum() for name, value_bt in means.items()},
        minima={"ratio_min": ratio_bt.masked_fill(~counted_bt, infinity).min()},
        maxima=maxima,
    )
