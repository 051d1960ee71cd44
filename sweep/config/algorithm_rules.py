"""The rules among the choices of an algorithm. A combination that means nothing is refused, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from sweep.config.algorithm import AlgorithmConfig
from sweep.config.data import scalar_text

# Keys that other trainers have and that no training rollout takes here.
BIASED_SAMPLING = {
    f"rollout.{name}"
    for name in ("top_p", "top_k", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty")
}
WHY_BIASED = (
    "training samples the policy as it is, because the loss takes the log-probs of the whole distribution and a "
    "truncated or penalised one would bias every ratio; leave it out (rollout.temperature is a part of the policy)"
)


def algorithm_faults(algorithm: AlgorithmConfig) -> list[str]:
    """Return a message for each contradiction among the choices; the list is empty where there is none."""
    return [*_group_faults(algorithm), *_probability_faults(algorithm), *_other_faults(algorithm)]


def _group_faults(algorithm: AlgorithmConfig) -> Iterator[str]:
    if algorithm.normalisation == "group_std" and algorithm.baseline == "none":
        yield (
            "algorithm.normalisation=group_std without a baseline divides a group of equal rewards by a standard "
            "deviation of 0; set algorithm.normalisation=none, or algorithm.baseline=group_mean"
        )
    elif algorithm.samples_per_prompt == 1 and algorithm.baseline != "none":
        yield (
            "algorithm.samples_per_prompt=1 leaves a group nothing to compare with: every advantage would be 0; "
            "raise it, or set algorithm.baseline=none algorithm.normalisation=none"
        )
    if algorithm.samples_per_prompt == 1 and (algorithm.filter_zero_variance or algorithm.resampling_rounds):
        yield (
            "algorithm.samples_per_prompt=1 makes the rewards of every group equal, so that none would be left; raise "
            "it, or set algorithm.filter_zero_variance=false algorithm.resampling_rounds=0"
        )


def _probability_faults(algorithm: AlgorithmConfig) -> Iterator[str]:
    """Yield a message if other keys contradict `algorithm.ratio=probability`.

    This ratio is π alone. It reproduces the switch "no clipping" of the paper's code as a whole, so it goes with no
    denominator and no clip.
    """
    if algorithm.ratio != "probability":
        return
    needed = {
        "on_policy": False,
        "old_logprobs": "trainer",
        "ratio_level": "token",
        "clip_low": None,
        "clip_high": None,
        "tis_cap": None,
    }
    wrong = {name: value for name, value in needed.items() if getattr(algorithm, name) != value}
    if wrong:
        changes = " ".join(f"algorithm.{name}={scalar_text(value)}" for name, value in wrong.items())
        yield (
            "algorithm.ratio=probability is π alone, unclipped and without a denominator, as the paper's code has it; "
            f"set {changes}, or algorithm.ratio=importance"
        )


def _other_faults(algorithm: AlgorithmConfig) -> Iterator[str]:
    if algorithm.tis_cap is not None and algorithm.old_logprobs == "sampler" and not algorithm.on_policy:
        yield (
            f"algorithm.tis_cap={algorithm.tis_cap:g} corrects trainer's against sampler's log-probs, and "
            "algorithm.old_logprobs=sampler has the sampler's in the ratio already; set one of "
            "algorithm.tis_cap=null, algorithm.old_logprobs=trainer"
        )
    if algorithm.aggregation == "micro_batch_mean" and algorithm.aggregation_size is None:
        yield (
            "algorithm.aggregation=micro_batch_mean averages over some responses at a time and needs to know how many: "
            "set algorithm.aggregation_size (the paper's is 4)"
        )
