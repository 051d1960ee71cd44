"""Choose the engine that samples."""

from __future__ import annotations

import importlib.util
import logging

import torch

from sweep.config.cell import RolloutConfig
from sweep.rollout.sample import Sampler
from sweep.rollout.stop import StopRules
from sweep.rollout.transformers_engine import TransformersSampler
from sweep.rollout.vllm_engine import VllmSampler

log = logging.getLogger("sweep")
ENGINES = {"transformers": TransformersSampler, "vllm": VllmSampler}


def open_sampler(config: RolloutConfig, stop: StopRules) -> Sampler:
    """Return the configured engine; `auto` takes vLLM if it is installed and there is a GPU."""
    name = config.name
    if name == "auto":
        name = "vllm" if importlib.util.find_spec("vllm") and torch.cuda.is_available() else "transformers"
    log.info("responses are sampled by %s (rollout=%s)", name, config.name)
    return ENGINES[name](config, stop)
