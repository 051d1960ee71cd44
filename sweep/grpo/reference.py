"""Log-probs of the initial policy, from which the KL divergence is measured."""

from __future__ import annotations

import deepspeed
import torch
from transformers import PreTrainedModel

from sweep.grpo.logprobs import Policy, Sequences


class AdapterReference:
    """The initial policy under LoRA: the policy itself without its adapters, which costs no memory."""

    def __init__(self, engine: deepspeed.DeepSpeedEngine) -> None:
        self.engine = engine

    @torch.no_grad()
    def logprobs(self, batch: Sequences, temperature: float) -> torch.Tensor:
        """Return log-probs (b, t) of the response tokens."""
        with self.engine.module.model.disable_adapter():
            return self.engine(batch, temperature)[0]


class FrozenReference:
    """The initial policy as a second copy of the weights, in the policy's dtype, and sharded if the policy is."""

    def __init__(self, model: PreTrainedModel, zero_settings: dict | None, device: torch.device) -> None:
        policy = Policy(model.eval().requires_grad_(False))
        if zero_settings is None:
            self._policy = policy.to(device)
        else:
            self._policy, *_ = deepspeed.initialize(model=policy, config=zero_settings, dist_init_required=False)

    @torch.no_grad()
    def logprobs(self, batch: Sequences, temperature: float) -> torch.Tensor:
        """Return log-probs (b, t) of the response tokens."""
        return self._policy(batch, temperature)[0]
