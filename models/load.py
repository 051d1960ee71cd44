"""Load a policy and its tokenizer: from the hub, a local directory, or a mini recipe."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from models.config import ModelConfig
from models.mini.pretrain import Progress, cached_mini

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def weights_source(config: ModelConfig, cache_dir: Path, progress: Progress = lambda step, of: None) -> str:
    """The directory or hub id to load from; makes the mini if there is none yet."""
    if config.mini is not None:
        return str(cached_mini(config.family, config.mini, cache_dir, progress))
    return config.path


def load_tokenizer(config: ModelConfig, source: str) -> PreTrainedTokenizerBase:
    """The model's own tokenizer; a missing pad token is refused rather than aliased to a token that means something."""
    tokenizer = AutoTokenizer.from_pretrained(source, revision=config.revision, padding_side="left")
    if tokenizer.pad_token_id is None:
        raise ValueError(f"{source}: the tokenizer has no pad token; set one in its tokenizer_config.json")
    return tokenizer


def load_model(config: ModelConfig, source: str) -> PreTrainedModel:
    """The policy in the configured dtype."""
    return AutoModelForCausalLM.from_pretrained(source, revision=config.revision, dtype=DTYPES[config.dtype])
