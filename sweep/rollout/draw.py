"""Draw tokens from logits with given uniform numbers: a pure function."""

from __future__ import annotations

import torch
from torch.nn import functional as F

BLOCK = 512


def draw_tokens(
    logits_bv: torch.Tensor, draws_b: torch.Tensor, temperature: float, top_p: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens (b) and their log-probs (b) at `temperature`.

    A token is the value of the inverse distribution function at `draws_b`, numbers in [0, 1). At temperature 0 it is
    the likeliest token, with its log-prob at temperature 1. With `top_p` below 1 both are of the distribution that
    `nucleus` leaves. A row whose logits are not all finite gets a log-prob of NaN and some token of the vocabulary.
    """
    scaled_bv = logits_bv.float() / (temperature or 1.0)
    total_b1 = scaled_bv.logsumexp(-1, keepdim=True)
    if temperature == 0:
        token_b = logits_bv.argmax(-1)
        return token_b, (scaled_bv.gather(1, token_b[:, None]) - total_b1).squeeze(1)
    logprobs_bv = scaled_bv.sub_(total_b1)
    if top_p < 1:
        logprobs_bv = nucleus(logprobs_bv, top_p)
    token_b = _inverse(logprobs_bv.exp(), draws_b)
    return token_b, logprobs_bv.gather(1, token_b[:, None]).squeeze(1)


def nucleus(logprobs_bv: torch.Tensor, top_p: float) -> torch.Tensor:
    """Return the log-probs of the distribution that is left of each row, -inf for every other token (1904.09751).

    What is left are the likeliest tokens whose probabilities together reach `top_p`, as few as possible; of equally
    likely tokens the first ones.
    """
    sorted_bv, order_bv = logprobs_bv.sort(dim=-1, descending=True, stable=True)
    before_bv = sorted_bv.exp().cumsum(-1) - sorted_bv.exp()
    sorted_bv = sorted_bv.masked_fill(before_bv >= top_p, float("-inf"))
    left_bv = torch.empty_like(logprobs_bv).scatter_(1, order_bv, sorted_bv)
    return left_bv - left_bv.logsumexp(-1, keepdim=True)


def _inverse(weights_bv: torch.Tensor, draws_b: torch.Tensor) -> torch.Tensor:
    """Invert the CDF: return each row's first index whose cumulative weight exceeds the fraction `draws_b` of all.

    First the block of BLOCK entries is found, then the entry in it, so that only one block of each row is summed in
    double precision. In names of dimensions, k counts blocks and n the entries of a block.
    """
    rows_b = torch.arange(len(weights_bv), device=weights_bv.device)
    blocks_bkn = F.pad(weights_bv, (0, -weights_bv.shape[1] % BLOCK)).unflatten(1, (-1, BLOCK))
    upto_bk = blocks_bkn.sum(-1).double().cumsum(1)
    target_b = draws_b * upto_bk[:, -1]
    block_b = _first_above(upto_bk, target_b).clamp_(max=upto_bk.shape[1] - 1)  # of NaN no entry is above
    before_bk = F.pad(upto_bk, (1, 0))
    fraction_b = (target_b - before_bk[rows_b, block_b]) / (upto_bk - before_bk[:, :-1])[rows_b, block_b]
    within_bn = blocks_bkn[rows_b, block_b].double().cumsum(1)
    token_b = block_b * BLOCK + _first_above(within_bn, fraction_b * within_bn[:, -1])
    return token_b.clamp_(max=weights_bv.shape[1] - 1)


def _first_above(upto_bk: torch.Tensor, target_b: torch.Tensor) -> torch.Tensor:
    """Return the first index of each row of cumulative weights that is above `target_b`."""
    # The target is held below the sum, so that rounding never pushes a draw past the last entry of positive weight.
    total_b = upto_bk[:, -1]
    target_b = torch.minimum(target_b, torch.nextafter(total_b, torch.zeros_like(total_b)))
    return torch.searchsorted(upto_bk, target_b[:, None], right=True).squeeze(1)
