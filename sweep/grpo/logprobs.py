"""Compute the log-probs and the entropy of given responses under the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from models.architecture import CHUNK_LOGITS
from models.attention import Packed, decode, prepare
from models.bfloat16 import matmul, through_float32


@dataclass(frozen=True)
class Sequences:
    """Prompts and responses of a micro-batch, packed end to end. Dimensions: s all tokens, n response tokens.

    tokens_s: ids, each prompt followed by its response.
    predicting_n: for each response token the place in s that predicts it, which is one before its own.
    mask_bt: true where a (response, token) is real; read row by row, these are the n.
    packed: the attention layout, in which a sequence sees nothing of its neighbours.
    """

    tokens_s: torch.Tensor
    predicting_n: torch.Tensor
    mask_bt: torch.Tensor
    packed: Packed


def pack_sequences(
    prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]], device: torch.device
) -> Sequences:
    """Return prompts and responses as tensors, packed end to end."""
    tokens, predicting = [], []
    for prompt, response in zip(prompts, responses, strict=True):
        first = len(tokens) + len(prompt) - 1
        predicting += range(first, first + len(response))
        tokens += [*prompt, *response]
    lengths_b = torch.tensor([len(r) for r in responses])
    mask_bt = torch.arange(int(lengths_b.max())) < lengths_b[:, None]
    packed = Packed([len(p) + len(r) for p, r in zip(prompts, responses, strict=True)], device)
    return Sequences(*(torch.as_tensor(x, device=device) for x in (tokens, predicting, mask_bt)), packed)


class Policy(nn.Module):
    """The language model as GRPO sees it: sequences in, log-probs of their responses out."""

    def __init__(self, model: PreTrainedModel, entropy_gradient: bool = False) -> None:
        super().__init__()
        prepare(model)
        # The head becomes a LogprobHead in place: `head(hidden_nd)` still gives logits, and now `head(hidden_nd,
        # targets_n)` gives log-probs. A new module would be a second owner of the weight, which ZeRO-3, checkpoints and
        # tied embeddings would all have to learn about. The class adds no attribute to nn.Linear, so this is safe.
        model.get_output_embeddings().__class__ = LogprobHead
        self.model, self._entropy_gradient = model, entropy_gradient

    def forward(self, batch: Sequences, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Return log-probs (b, t) of response tokens at the sampling temperature, and the entropy (b, t) before each.

        Both are 0 where there is no token. Only the positions that predict response tokens pass the language-model
        head. The entropy has a gradient only if `entropy_gradient` is set.
        """
        hidden_sd = decode(self.model, batch.tokens_s[None], batch.packed)[0]
        hidden_nd = hidden_sd.index_select(0, batch.predicting_n)
        targets_n = batch.tokens_s[batch.predicting_n + 1]
        logprobs_n, entropy_n = self.model.get_output_embeddings()(hidden_nd, targets_n, temperature)
        if not self._entropy_gradient:
            entropy_n = entropy_n.detach()
        empty_bt = torch.zeros(batch.mask_bt.shape, device=hidden_nd.device)
        return empty_bt.masked_scatter(batch.mask_bt, logprobs_n), empty_bt.masked_scatter(batch.mask_bt, entropy_n)


class LogprobHead(nn.Linear):
    """A language-model head that can compute the log-probs of given tokens without holding all logits.

    It is the head module itself, so that ZeRO-3 gathers its weight around the forward and the backward pass.
    """

    def forward(self, hidden_nd, targets_n=None, temperature: float = 1.0):
        """Return logits; with `targets_n`, the log-probs (n) of those tokens and the entropy (n) instead."""
        if targets_n is None:
            return _logits(hidden_nd, self.weight)
        return _TokenLogprobs.apply(hidden_nd, self.weight, targets_n, temperature)


def _logits(hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return matmul(hidden, weight.T)


def _converted(weight_vd: torch.Tensor) -> torch.Tensor:
    """Return the weight in the dtype of the products, converted once for all chunks."""
    return weight_vd.float() if through_float32(weight_vd) else weight_vd


class _TokenLogprobs(torch.autograd.Function):
    """The log-prob of a token and the entropy at each place, a chunk of logits at a time, also in the backward pass."""

    @staticmethod
    def forward(ctx, hidden_nd, weight_vd, targets_n, temperature):
        """Return the log-prob of each target (n) and the entropy (n); keep no logits."""
        ctx.set_materialize_grads(False)  # mostly the entropy has no gradient
        ctx.save_for_backward(hidden_nd, weight_vd, targets_n)
        ctx.temperature = temperature
        head_vd, found = _converted(weight_vd), []
        for rows in _chunks(hidden_nd, weight_vd):
            found.append(_scores(hidden_nd[rows], head_vd, targets_n[rows, None], temperature))
        return tuple(torch.cat(parts) for parts in zip(*found, strict=True))

    @staticmethod
    def backward(ctx, grad_n, entropy_grad_n):
        """Return the gradients of the hidden states and the weight; compute the logits again."""
        hidden_nd, weight_vd, targets_n = ctx.saved_tensors
        head_vd = _converted(weight_vd)
        grad_hidden_nd = torch.empty_like(hidden_nd) if ctx.needs_input_grad[0] else None
        grad_weight_vd = torch.zeros_like(weight_vd, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        for rows in _chunks(hidden_nd, weight_vd):
            grads_c1 = (None if grad is None else grad[rows, None] for grad in (grad_n, entropy_grad_n))
            grad_cv = _gradient(hidden_nd[rows], head_vd, targets_n[rows, None], ctx.temperature, *grads_c1)
            if grad_hidden_nd is not None:
                grad_hidden_nd[rows] = matmul(grad_cv, head_vd)
            if grad_weight_vd is not None:
                grad_weight_vd += matmul(grad_cv.T, hidden_nd[rows])
        return grad_hidden_nd, None if grad_weight_vd is None else grad_weight_vd.to(weight_vd.dtype), None, None


# A chunk of logits is far larger than a GPU's caches, so that every operation on it takes as long as its bytes take
# through memory. The operations below are few, and the chunk is freed when they return.


def _tempered(hidden_cd: torch.Tensor, head_vd: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the logits divided by the temperature, in float32; at temperature 1 as they were computed."""
    logits_cv = _logits(hidden_cd, head_vd)
    return logits_cv if temperature == 1 else logits_cv.float().div_(temperature)


def _scores(hidden_cd, head_vd, targets_c1, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the log-prob of each target (c) and the entropy (c)."""
    logprobs_cv = _tempered(hidden_cd, head_vd, temperature).log_softmax(-1, torch.float32)
    token_c = logprobs_cv.gather(1, targets_c1).squeeze(1)
    return token_c, -logprobs_cv.exp().mul_(logprobs_cv).sum(-1)


def _gradient(hidden_cd, head_vd, targets_c1, temperature: float, grad_c1, entropy_grad_c1) -> torch.Tensor:
    """Return the gradient (c, v) of the logits before the temperature, in the dtype of the hidden states.

    Args:
        grad_c1, entropy_grad_c1: the gradients of the targets' log-probs and of the entropies; None is 0.
    """
    logits_cv = _tempered(hidden_cd, head_vd, temperature)
    probs_cv = logits_cv.softmax(-1, torch.float32)
    factor = 0.0 if grad_c1 is None else -grad_c1  # of the log-prob: one at the target, less the probabilities
    if entropy_grad_c1 is not None:  # of the entropy: -probability * (log-prob + entropy)
        logprobs_cv = logits_cv.log_softmax(-1, torch.float32)
        entropy_c1 = -(probs_cv * logprobs_cv).sum(-1, keepdim=True)
        factor = factor - entropy_grad_c1 * logprobs_cv.add_(entropy_c1)
    grad_cv = probs_cv.mul_(factor / temperature)
    if grad_c1 is not None:
        grad_cv.scatter_add_(1, targets_c1, grad_c1 / temperature)
    return grad_cv.to(hidden_cd.dtype)


def _chunks(hidden_nd: torch.Tensor, weight_vd: torch.Tensor) -> list[slice]:
    size = max(1, CHUNK_LOGITS[hidden_nd.device.type] // len(weight_vd))
    return [slice(start, start + size) for start in range(0, len(hidden_nd), size)]
