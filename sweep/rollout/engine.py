"""Choose the engine that samples."""

from __future__ import annotations

import importlib.util
import logging

import torch

from sweep.config.cell import CellConfig
from sweep.rollout.sample import Sampler
from sweep.rollout.stop import StopRules
from sweep.rollout.transformers_engine import TransformersSampler
from sweep.rollout.vllm_engine import VllmSampler

log = logging.getLogger("sweep")


def open_sampler(config: CellConfig, stop: StopRules) -> Sampler:
    """Return the configured engine; `auto` takes vLLM if it is installed and there is a GPU.

    Args:
        stop: what ends a response in training.
    """
    name = engine_name(config)
    log.info("responses are sampled by %s (rollout=%s)", name, config.rollout.name)
    if name == "transformers":
        return TransformersSampler(config.rollout, stop)
    asked = [benchmark.prompt for benchmark in config.evaluation.benchmarks.values() if benchmark.prompt]
    with_text = bool(stop.strings) or any(prompt.stops for prompt in asked)
    return VllmSampler(config.rollout, stop, config.longest_tokens, with_text)


def engine_name(config: CellConfig) -> str:
    """Return the name of the engine that samples on this machine."""
    if config.rollout.name != "auto":
        return config.rollout.name
    return "vllm" if importlib.util.find_spec("vllm") and torch.cuda.is_available() else "transformers"
