"""Small models with random weights, and what they answer."""

from __future__ import annotations

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from helpers.family_tokenizers import tokenizer_of
from models.prompts import Stop
from sweep.plan.compose import compose_cells
from sweep.rollout.engine import open_sampler
from sweep.rollout.sample import Request, Sampled
from sweep.rollout.stop import StopRules

SHAPE = {"vocab_size": 600, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
SHAPE |= {"num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}


def tiny(family: str = "llama", **changes):
    """A random model whose distributions are far from uniform."""
    classes = {
        "llama": (LlamaConfig, LlamaForCausalLM),
        "qwen2": (Qwen2Config, Qwen2ForCausalLM),
        "olmo2": (Olmo2Config, Olmo2ForCausalLM),
    }
    config_class, model_class = classes[family]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model_class(config_class(**SHAPE | changes)).eval()
        for parameter in model.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return model


def answers(model, *, temperature=1.0, top_p=1.0, batch_size=None, limit=16, samples=2) -> list[Sampled]:
    """Responses to prompts of several lengths, some asked more than once, which end at different times."""
    prompts = [[*b"Is 7 a prime?"[: 3 + 2 * (i // samples)]] for i in range(4 * samples)]
    requests = [Request(prompt, (0, "rollout", 0, i)) for i, prompt in enumerate(prompts)]
    stop = StopRules(tokenizer_of("olmo2_7b"), Stop(tuple(range(0, 300, 12))))
    rows = f"rollout.batch_size={batch_size or 'null'}"
    (cell,) = compose_cells(["rollout=transformers", f"rollout.max_response_tokens={limit}", rows])
    return open_sampler(cell.config, stop).sample(model, requests, temperature, top_p)
