"""The `algorithm` group's schema: GRPO and its relatives as a product of explicit choices (docs/algorithms.md)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.config import RECORDED, Strict


class AlgorithmConfig(Strict):
    """One objective. Every choice is stated by every file in conf/algorithm; none has a default here."""

    name: str = Field(json_schema_extra=RECORDED, description="a label; the choices below are the algorithm")

    prompts_per_step: int = Field(ge=1, description="prompts in a rollout")
    samples_per_prompt: int = Field(ge=1, description="responses in a group")
    updates_per_rollout: int = Field(ge=1, description="optimiser steps on each rollout, one epoch in all")
    resampling_rounds: int = Field(ge=0, description="times a group of equal rewards is replaced by another problem's")
    filter_zero_variance: bool = Field(description="groups of equal rewards take no part in the update")
    mask_truncated: bool = Field(description="responses cut off at max_response_tokens take no part in the update")

    overlong_buffer: float | None = Field(gt=0, le=1, description="last share of max_response_tokens; null: no penalty")
    overlong_penalty: float = Field(ge=0, description="taken from the reward at full length, linearly over the buffer")
    baseline: Literal["group_mean", "leave_one_out", "none"]
    normalisation: Literal["group_std", "none"]
    epsilon: float = Field(gt=0, description="added to the group's standard deviation")
    whitening: bool = Field(description="normalise advantages once more, over all tokens of the rollout")

    on_policy: bool = Field(description="every ratio is exactly 1; old log-probs and clip bounds are not read")
    old_logprobs: Literal["trainer", "sampler"] = Field(description="whose log-probs stand in the ratio's denominator")
    ratio: Literal["importance", "probability"] = Field(description="π/π_old, or π alone as one switch of the paper's")
    ratio_level: Literal["token", "sequence"] = Field(description="sequence: the geometric mean over a response")
    clip_low: float | None = Field(ge=0, lt=1, description="ratio is clipped at 1 - clip_low; null: not clipped")
    clip_high: float | None = Field(ge=0, description="ratio is clipped at 1 + clip_high; null: not clipped")
    tis_cap: float | None = Field(gt=0, description="cap of the correction π_trainer/π_sampler; null: no correction")

    aggregation: Literal["sequence_mean", "token_mean", "sequence_sum", "fixed_length", "micro_batch_mean"]
    aggregation_size: int | None = Field(ge=1, description="responses averaged together under micro_batch_mean")
    kl_coefficient: float = Field(ge=0, description="0: the initial model is not even loaded")
    kl_estimator: Literal["k1", "k2", "k3"]
    kl_place: Literal["loss", "reward"]
    entropy_coefficient: float = Field(ge=0, description="of the entropy bonus")

    @property
    def responses_per_step(self) -> int:
        return self.prompts_per_step * self.samples_per_prompt

    @property
    def responses_per_update(self) -> int:
        return self.responses_per_step // self.updates_per_rollout

    @property
    def unread(self) -> dict[str, str]:
        """Fields that change nothing beside the others, each with the choice that makes it so.

        They are no part of a run's identity.
        """
        unread = {}
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
