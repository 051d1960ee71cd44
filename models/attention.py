"""Attention over sequences in a layout that the caller chooses: packed end to end, or against stored keys and values.

Only the attention is replaced; the model's own modules compute everything else. The layout is passed through the
decoder as a keyword argument, and no attention mask is built.

Letters: b rows, s positions of a row, d head or hidden size.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby
from typing import Protocol

import torch
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from models.bfloat16 import speed_up_products

try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # torch before 2.10
    varlen_attn = None

NAME = "layout"
HALF = (torch.bfloat16, torch.float16)


class Layout(Protocol):
    """The positions of the tokens of a forward pass, and the rule that says which tokens each may attend to."""

    positions_bs: torch.Tensor

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float):
        """Return the attention output (b, s, heads, d).

        Args:
            query: (b, heads, s, d).
            key, value: (b, key-value heads, s, d).
        """


def prepare(model: PreTrainedModel) -> None:
    """Make `decode` work on `model`. Calls in the ordinary way, without a layout, work as before."""
    speed_up_products(model)
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    base.set_attn_implementation(NAME)


def decode(model: PreTrainedModel, tokens_bs: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Return the decoder's last hidden states (b, s, d) of `tokens_bs` in `layout`."""
    unused_mask = tokens_bs.new_empty((1, 1, 1, 1))  # transformers passes a mask of four dimensions on unchanged
    return model.get_decoder()(
        input_ids=tokens_bs,
        position_ids=layout.positions_bs,
        attention_mask=unused_mask,
        use_cache=False,
        layout=layout,
    ).last_hidden_state


class Packed:
    """Sequences end to end in one row (b = 1). Attention is causal within each sequence, and none sees another."""

    def __init__(self, lengths: Sequence[int], device: torch.device) -> None:
        self.lengths = list(lengths)
        self.positions_bs = torch.cat([torch.arange(n, device=device) for n in self.lengths])[None]
        bounds = torch.tensor([0, *self.lengths], device=device).cumsum(0)
        self._bounds = bounds.to(torch.int32)

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float):
        """See `Layout.attend`. On a GPU in half precision one kernel takes all sequences; else equal lengths share a
        call.
        """
        if query.is_cuda and query.dtype in HALF and takes_packed(varlen_attn):
            packed = (t.squeeze(0).transpose(0, 1) for t in (query, key, value))
            return attend_packed(varlen_attn, *packed, self._bounds, max(self.lengths), scale)[None]
        outputs, start = [], 0
        for length, alike in groupby(self.lengths):  # neighbours of equal length share a call
            count = len(list(alike))
            parts = (t[0, :, start : start + count * length] for t in (query, key, value))
            parts = (t.unflatten(1, (count, length)).transpose(0, 1) for t in parts)
            outputs.append(_scaled_dot_product(*parts, scale, is_causal=True).transpose(1, 2).flatten(0, 1))
            start += count * length
        return torch.cat(outputs)[None]


class Recording(Packed):
    """`Packed` that also keeps the keys and values (key-value heads, s, d) of every layer."""

    def __init__(self, lengths: Sequence[int], device: torch.device) -> None:
        super().__init__(lengths, device)
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float):
        """See `Layout.attend`; keeps `key` and `value` first."""
        self.keys.append(key[0])
        self.values.append(value[0])
        return super().attend(layer, query, key, value, scale)


def takes_packed(kernel: Callable | None) -> bool:
    """Return whether torch's kernel for packed sequences takes a scale and a causal window; torch 2.10's does not."""
    return kernel is not None and {"scale", "window_size"} <= _options(kernel)


@cache
def _options(kernel: Callable) -> frozenset[str]:
    return frozenset(inspect.signature(kernel).parameters)


def attend_packed(
    kernel: Callable,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
    longest: int,
    scale: float,
) -> torch.Tensor:
    """Return the causal attention output (s, heads, d) of sequences that lie end to end, from one call of the kernel.

    Args:
        kernel: torch's `varlen_attn`.
        query: (s, heads, d).
        key, value: (s, key-value heads, d).
        bounds: where each sequence begins and the last one ends, int32.
        longest: tokens of the longest sequence.
    """
    # Without this option, in torch 2.11, heads that share keys are taken as they are.
    shared = query.shape[1] != key.shape[1]
    options = {"enable_gqa": True} if shared and "enable_gqa" in _options(kernel) else {}
    return kernel(query, key, value, bounds, bounds, longest, longest, scale=scale, window_size=(-1, 0), **options)


def _scaled_dot_product(query, key, value, scale: float, is_causal: bool) -> torch.Tensor:
    grouped = query.shape[1] != key.shape[1]
    dtype = query.dtype
    if dtype == torch.bfloat16 and query.device.type == "cpu":  # the backward pass is faster in fp32 on every CPU
        query, key, value = query.float(), key.float(), value.float()
    out = F.scaled_dot_product_attention(query, key, value, is_causal=is_causal, scale=scale, enable_gqa=grouped)
    return out.to(dtype)


def _attend(module, query, key, value, attention_mask, *, scaling, layout: Layout | None = None, **options):
    if layout is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **options)
    return layout.attend(module.layer_idx, query, key, value, scaling), None


# transformers looks attention functions up by name: `prepare` sets this name on a model, and `_attend` is called for
# each layer with the keyword arguments that `decode` gave to the decoder.
AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
