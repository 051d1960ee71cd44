"""Load a policy and its tokenizer from the hub, a local directory, a GGUF file, or a mini recipe."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from models.architecture import architecture_from, positions_of, read_architecture, unsupported
from models.config import ADAPTER, LoraTuning, ModelConfig, TuningConfig, is_local
from models.hub import fetch, is_gguf
from models.mini.pretrain import Progress, cached_mini
from models.permissions import follow_umask

log = logging.getLogger("sweep")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def weights_source(config: ModelConfig, cache_dir: Path, progress: Progress = lambda step, of: None) -> Path:
    """Return the directory or GGUF file of the model's weights; fetch them, or make the mini, if they are not there."""
    if config.mini is not None:
        return cached_mini(config.family, config.mini, cache_dir, progress)
    return fetch(config)


def load_tokenizer(source: Path) -> PreTrainedTokenizerBase:
    """Return the model's own tokenizer, unchanged."""
    place, options = _place(source)
    return AutoTokenizer.from_pretrained(place, **options)


def load_model(config: ModelConfig, source: Path, tokens: int = 0) -> PreTrainedModel:
    """Return the policy in the configured dtype, without dropout, because sampler and trainer must agree on log-probs.

    Under DeepSpeed's ZeRO-3 each process holds only its part of every weight.

    Raises:
        ValueError: the architecture cannot be trained here on sequences of `tokens`, or the model has fewer positions.
    """
    place, options = _place(source)
    settings = AutoConfig.from_pretrained(place, **options)
    if fault := unsupported(settings.to_dict(), tokens):
        raise ValueError(f"{source} has {fault}")
    positions = positions_of(settings.to_dict())
    if positions is not None and tokens > positions:
        raise ValueError(
            f"model.context={config.context}: the positions of {source} end at {positions}, and sequences may have "
            f"{tokens} tokens (rollout.max_prompt_tokens + rollout.max_response_tokens); set model.context={positions} "
            "and lower them"
        )
    for name, value in vars(settings).items():
        if ("dropout" in name or "pdrop" in name) and isinstance(value, float):
            setattr(settings, name, 0.0)
    _compare(config, settings)
    if options:
        from transformers import GgufConfig

        # Without dequantizing, the weights stay packed and cannot be trained.
        options["quantization_config"] = GgufConfig(dequantize=True)
    return AutoModelForCausalLM.from_pretrained(place, config=settings, dtype=DTYPES[config.dtype], **options)


def load_trained(config: ModelConfig, source: Path, final: Path, tokens: int = 0) -> PreTrainedModel:
    """Return the policy that a run left in `final`: all its weights, or adapters over the untrained model of `source`.

    The untrained model is loaded only under adapters. See `load_model`.
    """
    if not (final / ADAPTER).exists():
        return load_model(config, final, tokens)
    from peft import PeftModel

    untrained = load_model(config, source, tokens)
    return PeftModel.from_pretrained(untrained, final, autocast_adapter_dtype=False)


def adapt(model: PreTrainedModel, tuning: TuningConfig, config: ModelConfig):
    """Return the model to train: `model` itself, or a frozen model with LoRA adapters that begin as zero."""
    if not isinstance(tuning, LoraTuning):
        return model
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(
        task_type="CAUSAL_LM", r=tuning.rank, lora_alpha=tuning.alpha, lora_dropout=0.0, target_modules="all-linear"
    )
    adapted = get_peft_model(model, settings, autocast_adapter_dtype=False)
    if config.path and not is_local(config.path):  # saved adapters name the hub id, which is valid on any machine
        adapted.peft_config["default"].base_model_name_or_path = config.path
        adapted.peft_config["default"].revision = config.revision
    return adapted


def _place(source: Path) -> tuple[str, dict]:
    """Return the arguments of `from_pretrained` for a directory or a GGUF file: (path, options)."""
    if is_gguf(str(source)):
        return str(source.parent), {"gguf_file": source.name}
    return str(source), {}


def _compare(config: ModelConfig, settings) -> None:
    """Log a warning if memory was predicted for an architecture that differs from the files."""
    expected, found = read_architecture(config), architecture_from(settings.to_dict())
    if expected is None or found is None:
        return
    differing = [k for k, v in found.model_dump(exclude={"parameters"}).items() if v != getattr(expected, k)]
    if differing:
        log.warning("model.architecture differs from the files in %s: memory was predicted wrongly", differing)


def save_model(model: PreTrainedModel, directory: Path) -> None:
    """Save a model or its adapters with `save_pretrained`, readable for everyone whom the umask allows.

    Some published models ship generation options that transformers refuses to save; they are made consistent first.
    """
    if hasattr(model, "peft_config"):
        model.save_pretrained(directory, save_embedding_layers=False)
    else:
        try:
            model.generation_config.validate(strict=True)
        except ValueError:  # some published models set sampling options together with do_sample=False
            model.generation_config.do_sample = True
        model.save_pretrained(directory)
    follow_umask(directory)
