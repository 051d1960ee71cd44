"""Count the FLOPs that a model needs for real tokens, and look up the peak of devices. Pure arithmetic.

Counted are the matrix products of the layers, causal attention, and the head where responses are predicted. Padding,
recomputation under gradient checkpointing, norms and the optimiser are not (as in PaLM, 2204.02311, appendix B).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from models.config import Architecture
from sweep.config.algorithm import AlgorithmConfig

# Dense bfloat16 TFLOP/s from the makers' data sheets, by what torch calls the device; the first that matches.
PEAK_TFLOPS = {
    "B200": 2250.0,
    "GH200": 989.0,
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.0,
    "A100": 312.0,
    "A800": 312.0,
    "L40S": 362.0,
    "L40": 181.0,
    "L4": 121.0,
    "A10G": 70.0,
    "A10": 125.0,
    "A40": 149.7,
    "A6000": 154.8,
    "RTX 4090": 165.2,
    "RTX 3090": 71.0,
}


def peak_tflops(device_name: str | None, dtype: str) -> float | None:
    """Return the peak of a GPU in bfloat16; None for unknown devices, for CPUs and for other dtypes."""
    if device_name is None or dtype != "bfloat16":
        return None
    return next((peak for name, peak in PEAK_TFLOPS.items() if re.search(rf"\b{name}\b", device_name)), None)


def forward_flops(shape: Architecture, prompt_tokens: int, response_tokens: int) -> int:
    """Return the FLOPs of one forward pass over a prompt and its response."""
    heads, keys, tokens = shape.num_attention_heads, shape.num_key_value_heads, prompt_tokens + response_tokens
    projections = 2 * shape.hidden_size * shape.head_dim * (heads + keys)
    layer = 2 * tokens * (projections + 3 * shape.hidden_size * shape.intermediate_size)
    attention = 4 * heads * shape.head_dim * tokens * (tokens + 1) // 2  # scores, and values by scores
    return shape.num_hidden_layers * (layer + attention) + 2 * shape.hidden_size * shape.vocab_size * response_tokens


def update_flops(
    shape: Architecture, lengths: Sequence[tuple[int, int]], algorithm: AlgorithmConfig, updates: int, adapters: bool
) -> float:
    """Return the FLOPs of the updates of a rollout, with every forward pass that the algorithm needs.

    Args:
        lengths: (prompt, response) tokens of each response that is trained on.
        updates: optimiser steps; the first needs no pass for old log-probs.
        adapters: whether only adapters are trained: frozen weights have no gradients (adapters are not counted).
    """
    if not updates:
        return 0.0
    passes = 2.0 if adapters else 3.0
    if algorithm.old_logprobs == "trainer" and not algorithm.on_policy:
        passes += (updates - 1) / updates
    if algorithm.kl_coefficient:
        passes += 1 if algorithm.kl_place == "loss" else 2
    return passes * sum(forward_flops(shape, *pair) for pair in lengths)
