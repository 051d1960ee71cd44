"""The shape of a model, from which memory and disk use are predicted. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path

from models.config import Architecture, MiniRecipe, ModelConfig, is_local
from models.mini.tokenizer import vocabulary_size

# Logits (tokens × vocabulary) that training holds at a time. A GPU needs more rows in a matrix product to be fast.
CHUNK_LOGITS = {"cpu": 2**23, "cuda": 2**26}
SAMPLING_LOGIT_BYTES = 16  # bytes a logit: as computed (4), and in fp32 with log-probs and probabilities (12)
QUERY_KEY_NORM = ("olmo2", "olmo3", "qwen3")  # model types of config.json, and the mini family of that type


def read_architecture(config: ModelConfig) -> Architecture | None:
    """Return the configured architecture, else the one of a config.json on this machine; None if neither is known."""
    if config.architecture is not None:
        return config.architecture
    if config.mini is not None:
        return _of_mini(config.family, config.mini)
    values = hub_config(config)
    return architecture_from(values) if values else None


def hub_config(config: ModelConfig) -> dict | None:
    """Return the model's config.json as a dictionary, or None if it is not on this machine."""
    if config.path is None:
        return None
    if is_local(config.path):
        file = Path(config.path) / "config.json"
    else:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(config.path, "config.json", revision=config.revision)
        file = Path(found) if isinstance(found, str) else Path("/nonexistent")
    return json.loads(file.read_text()) if file.is_file() else None


_CAPS = ("attn_logit_softcapping", "final_logit_softcapping")  # Gemma 2's


def unsupported(values: dict, tokens: int) -> str | None:
    """Return the feature of a hub config.json that training cannot compute, as text for a message; None if there is
    none.

    Sliding windows are supported as long as sequences of `tokens` fit into the window.
    """
    if caps := [name for name in _CAPS if values.get(name) is not None]:
        return f"{caps[0]}={values[caps[0]]}, which is not computed here"
    if "layer_types" in values:
        slides = "sliding_attention" in (values["layer_types"] or ())
    else:
        slides = values.get("use_sliding_window", True) and values.get("sliding_window") is not None
        # Qwen2 lets only the layers above the first `max_window_layers` slide.
        slides = slides and values.get("max_window_layers", 0) < values.get("num_hidden_layers", 1)
    window = values.get("sliding_window") or 0
    if slides and window < tokens:
        return (
            f"layers that see only a window of {window} tokens, and all must see a whole sequence here: "
            f"rollout.max_prompt_tokens + rollout.max_response_tokens = {tokens}; lower them to {window} in all"
        )
    return None


def positions_of(values: dict) -> int | None:
    """Return the number of positions of a hub config.json, rotary scaling included; None if the file does not say."""
    positions = values.get("max_position_embeddings")
    if not isinstance(positions, int):
        return None
    scaling = values.get("rope_scaling") or values.get("rope_parameters") or {}
    original = scaling.get("original_max_position_embeddings") or positions
    return max(positions, int(original * (scaling.get("factor") or 1)))


def _of_mini(family: str, recipe: MiniRecipe) -> Architecture:
    return architecture_from(
        {
            "num_hidden_layers": recipe.layers,
            "hidden_size": recipe.hidden_size,
            "intermediate_size": 2 * recipe.hidden_size,
            "num_attention_heads": recipe.heads,
            "num_key_value_heads": recipe.key_value_heads,
            "vocab_size": vocabulary_size(family),
            "tie_word_embeddings": True,
            "model_type": family,
        }
    )


def architecture_from(values: dict) -> Architecture | None:
    """Return the architecture of a hub config.json; None if it does not describe a decoder of the usual kind."""
    try:
        heads = values["num_attention_heads"]
        shape = {
            "num_hidden_layers": values["num_hidden_layers"],
            "hidden_size": values["hidden_size"],
            "intermediate_size": values["intermediate_size"],
            "num_attention_heads": heads,
            "num_key_value_heads": values.get("num_key_value_heads") or heads,
            "head_dim": values.get("head_dim") or values["hidden_size"] // heads,
            "vocab_size": values["vocab_size"],
            "tie_word_embeddings": values.get("tie_word_embeddings", False),
        }
        norm = values.get("model_type") in QUERY_KEY_NORM
    except KeyError:
        return None
    return Architecture(parameters=count_parameters(**shape), query_key_norm=norm, **shape)


def count_parameters(
    num_hidden_layers: int,
    hidden_size: int,
    intermediate_size: int,
    num_attention_heads: int,
    num_key_value_heads: int,
    head_dim: int,
    vocab_size: int,
    tie_word_embeddings: bool,
) -> int:
    """Return the number of weights of a decoder with gated MLPs.

    Biases and norms, in which families differ, are left out: they are under 0.1 % of the weights.
    """
    attention = 2 * hidden_size * head_dim * (num_attention_heads + num_key_value_heads)
    layer = attention + 3 * hidden_size * intermediate_size
    return num_hidden_layers * layer + (1 if tie_word_embeddings else 2) * vocab_size * hidden_size


def cache_row_bytes(shape: Architecture, tokens: int, width: int) -> int:
    """Return the bytes of one sequence while it is sampled: keys and values of `tokens`, and the logits of one
    position.
    """
    per_token = 2 * shape.num_hidden_layers * shape.num_key_value_heads * shape.head_dim * width
    return tokens * per_token + shape.vocab_size * SAMPLING_LOGIT_BYTES
