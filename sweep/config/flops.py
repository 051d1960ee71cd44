"""Count the FLOPs that a model needs for real tokens. Pure arithmetic.

Counted are the matrix products of the layers, causal attention, and the head where responses are predicted. Padding,
recomputation under gradient checkpointing, norms and the optimiser are not (as in PaLM, 2204.02311, appendix B).
"""

from __future__ import annotations

from collections.abc import Sequence

from models.config import Architecture
from sweep.config.algorithm import AlgorithmConfig


def forward_flops(shape: Architecture, prompt_tokens: int, response_tokens: int) -> int:
    """Return the FLOPs of one forward pass over a prompt and its response."""
    heads, keys, tokens = shape.num_attention_heads, shape.num_key_value_heads, prompt_tokens + response_tokens
    projections = 2 * shape.hidden_size * shape.head_dim * (heads + keys)
    layer = 2 * tokens * (projections + 3 * shape.hidden_size * shape.intermediate_size)
    attention = 4 * heads * shape.head_dim * tokens * (tokens + 1) // 2  # scores, and values by scores
    return shape.num_hidden_layers * (layer + attention) + 2 * shape.hidden_size * shape.vocab_size * response_tokens


def update_passes(algorithm: AlgorithmConfig, updates: int, adapters: bool) -> float:
    """Return how many forward passes the updates of a rollout are worth, with every pass that the algorithm needs.

    Args:
        updates: optimiser steps; the first needs no pass for old log-probs.
        adapters: whether only adapters are trained: frozen weights have no gradients.
    """
    if not updates:
        return 0.0
    passes = 2.0 if adapters else 3.0
    if algorithm.old_logprobs == "trainer" and not algorithm.on_policy:
        passes += (updates - 1) / updates
    if algorithm.kl_coefficient:
        passes += 1 if algorithm.kl_place == "loss" else 2
    return passes


def update_flops(
    shape: Architecture, lengths: Sequence[tuple[int, int]], algorithm: AlgorithmConfig, updates: int, adapters: bool
) -> float:
    """Return the FLOPs of the updates of a rollout, with every forward pass that the algorithm needs.

    Args:
        lengths: (prompt, response) tokens of each response that is trained on.
        updates: optimiser steps; the first needs no pass for old log-probs.
        adapters: whether only adapters are trained: frozen weights have no gradients (adapters are not counted).
    """
    passes = update_passes(algorithm, updates, adapters)
    return passes * sum(forward_flops(shape, *pair) for pair in lengths)
