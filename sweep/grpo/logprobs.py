"""Log-probs and entropy of given responses under the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel


@dataclass(frozen=True)
class Sequences:
    """Prompts and responses of a micro-batch, padded on the right.

    tokens_bs: ids, prompt then response. response_bt: where in s each response token stands, padded with 1.
    mask_bt: 1 where response_bt is a real token.
    """

    tokens_bs: torch.Tensor
    response_bt: torch.Tensor
    mask_bt: torch.Tensor


def pad_sequences(
    prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]], pad_id: int, device: torch.device
) -> Sequences:
    """Lay prompts and responses out as tensors."""
    rows = [[*p, *r] for p, r in zip(prompts, responses, strict=True)]
    width, longest = max(map(len, rows)), max(map(len, responses))
    tokens = [row + [pad_id] * (width - len(row)) for row in rows]
    positions = [
        [*range(len(p), len(p) + len(r))] + [1] * (longest - len(r)) for p, r in zip(prompts, responses, strict=True)
    ]
    mask = [[1] * len(r) + [0] * (longest - len(r)) for r in responses]
    return Sequences(*(torch.tensor(x, device=device) for x in (tokens, positions, mask)))


class Policy(nn.Module):
    """The language model as GRPO sees it: sequences in, log-probs of their responses out."""

    def __init__(self, model: PreTrainedModel, entropy_gradient: bool = False) -> None:
        super().__init__()
        self.model, self._entropy_gradient = model, entropy_gradient

    def forward(self, batch: Sequences, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probs (b, t) of the response tokens at the sampling temperature, and the entropy (b, t) before each.

        Only the positions that predict response tokens pass the language-model head. Attention is causal and padding
        stands on the right, so real tokens never see it and no mask is needed. Entropy carries a gradient where
        `entropy_gradient` says so.
        """
        hidden_bsd = self.model.get_decoder()(input_ids=batch.tokens_bs, use_cache=False).last_hidden_state
        rows_b1 = torch.arange(len(batch.tokens_bs), device=hidden_bsd.device)[:, None]
        hidden_btd = hidden_bsd[rows_b1, batch.response_bt - 1]
        logits_btv = self.model.get_output_embeddings()(hidden_btd).float() / temperature
        logprobs_btv = logits_btv.log_softmax(-1)
        targets_bt = batch.tokens_bs.gather(1, batch.response_bt)
        with torch.set_grad_enabled(self._entropy_gradient and torch.is_grad_enabled()):
            entropy_bt = -(logprobs_btv.exp() * logprobs_btv).sum(-1)
        return logprobs_btv.gather(-1, targets_bt[..., None]).squeeze(-1), entropy_bt
