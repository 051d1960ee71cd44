"""The schema of the `algorithm` group: each algorithm is a combination of explicit choices (docs/algorithms.md)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.config import RECORDED, Strict


class AlgorithmConfig(Strict):
    """One objective. Every file in `conf/algorithm` states or inherits every choice; none has a default here.

    How many prompts and responses a step has is stated in `conf/sizes`, unless an algorithm's file states it.
    """

    name: str = Field(
        json_schema_extra=RECORDED, description="what tables call the algorithm; what it does is said by the other keys"
    )

    prompts_per_step: int = Field(ge=1, description="prompts in the rollout of a step")
    samples_per_prompt: int = Field(ge=1, description="responses to each prompt, which make a group")
    updates_per_rollout: int = Field(
        ge=1, description="optimiser steps on each rollout; each response is used in one of them"
    )
    resampling_rounds: int = Field(
        ge=0, description="rounds in which groups of equal rewards are replaced by those of other problems"
    )
    filter_zero_variance: bool = Field(description="whether groups of equal rewards are left out of the update")
    mask_truncated: bool = Field(
        description="whether responses that were cut off at max_response_tokens are left out of the update"
    )

    overlong_buffer: float | None = Field(
        gt=0, le=1, description="last share of max_response_tokens in which the penalty on length grows; null: none"
    )
    overlong_penalty: float = Field(ge=0, description="reward that a response of full length loses")
    baseline: Literal["group_mean", "leave_one_out", "none"] = Field(
        description="taken from each reward: its group's mean, the mean of the others of its group, or nothing"
    )
    normalisation: Literal["group_std", "none"] = Field(
        description="what divides the advantages: their group's standard deviation, or nothing"
    )
    epsilon: float = Field(gt=0, description="added to the group's standard deviation before dividing by it")
    whitening: bool = Field(
        description="whether advantages are brought to mean 0 and deviation 1 once more, over all tokens of the rollout"
    )

    on_policy: bool = Field(
        description="whether every ratio is exactly 1; old log-probs and bounds of the clip are then not read"
    )
    old_logprobs: Literal["trainer", "sampler"] = Field(description="whose log-probs are the ratio's denominator")
    ratio: Literal["importance", "probability"] = Field(
        description="importance: π/π_old; probability: π alone, as a switch of the paper's code has it"
    )
    ratio_level: Literal["token", "sequence"] = Field(
        description="token: a ratio for each token; sequence: the geometric mean over a response"
    )
    clip_low: float | None = Field(ge=0, lt=1, description="ratios are clipped below 1 - clip_low; null: not there")
    clip_high: float | None = Field(ge=0, description="ratios are clipped above 1 + clip_high; null: not there")
    tis_cap: float | None = Field(
        gt=0,
        description="cap of the weight π_trainer/π_sampler that corrects for the sampler; null: no weight",
    )

    aggregation: Literal["sequence_mean", "token_mean", "sequence_sum", "fixed_length", "micro_batch_mean"] = Field(
        description="how losses of tokens become one number; docs/algorithms.md writes each out"
    )
    aggregation_size: int | None = Field(
        ge=1, description="responses whose tokens are averaged together, for aggregation=micro_batch_mean; else null"
    )
    kl_coefficient: float = Field(
        ge=0, description="weight of the KL to the initial model; 0: none, and the initial model is not loaded"
    )
    kl_estimator: Literal["k1", "k2", "k3"] = Field(
        description="estimate of a token's KL from log-ratios; docs/algorithms.md writes each out"
    )
    kl_place: Literal["loss", "reward"] = Field(description="loss: the KL is part of the loss; reward: it is taken off")
    entropy_coefficient: float = Field(ge=0, description="weight of the entropy bonus in the loss; 0: no bonus")

    @property
    def responses_per_step(self) -> int:
        """Responses in the rollout of a step, of all processes."""
        return self.prompts_per_step * self.samples_per_prompt

    @property
    def responses_per_update(self) -> int:
        """Responses in one optimiser step, of all processes."""
        return self.responses_per_step // self.updates_per_rollout

    @property
    def unread(self) -> dict[str, str]:
        """The fields that have no effect because of other choices, each with the choice that is the reason.

        They are no part of a run's identity.
        """
        unread: dict[str, str] = {}
        if self.on_policy:
            unread |= dict.fromkeys(("old_logprobs", "ratio_level", "clip_low", "clip_high"), "on_policy=true")
        if self.kl_coefficient == 0:
            unread |= dict.fromkeys(("kl_estimator", "kl_place"), "kl_coefficient=0")
        if self.overlong_buffer is None:
            unread["overlong_penalty"] = "overlong_buffer=null"
        if self.normalisation == "none":
            unread["epsilon"] = "normalisation=none"
        if self.aggregation != "micro_batch_mean":
            unread["aggregation_size"] = f"aggregation={self.aggregation}"
        return unread
