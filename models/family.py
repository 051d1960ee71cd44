"""What differs between model families. Each family is a module of this package with the functions below.

prompt_ids(tokenizer, question: str) -> list[int]     the prompt a policy is sampled from
stop_ids(tokenizer) -> tuple[int, ...]                ids that end a response
model_classes() -> (config class, model class)        the transformers architecture of the family's minis
"""

from __future__ import annotations

import importlib
from types import ModuleType

FAMILIES = ("qwen", "llama3", "olmo2")


def load_family(name: str) -> ModuleType:
    """The module that owns family `name`."""
    if name not in FAMILIES:
        raise ValueError(f"family {name!r} is unknown; choose one of {', '.join(FAMILIES)}")
    return importlib.import_module(f"models.{name}")


def chat_prompt_ids(tokenizer, question: str) -> list[int]:
    """`question` as one user turn of the tokenizer's own chat template, ready for the assistant's answer."""
    turn = [{"role": "user", "content": question}]
    return list(tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=True)["input_ids"])
