"""The models of conf/model beside their tokenizers, as tests of prompts and of the ends of answers take them."""

from __future__ import annotations

import copy
from functools import cache

from omegaconf import DictConfig, OmegaConf

from helpers.family_tokenizers import tokenizer_of
from models.prompts import PromptConfig, prompt_ids
from sweep.plan.compose import compose_cells, compose_first


@cache
def configured(name: str):
    return compose_cells(["data=mini_arithmetic", f"model={name}"])[0].config.model


def model_of(name: str, **changes):
    return configured(name).model_copy(update=changes)


@cache
def _composed(choice: str) -> DictConfig:
    """The configuration with conf/prompt/`choice`, references as they are written."""
    return compose_first([f"prompt={choice}"])[1]


@cache
def prompt_of(name: str, choice: str = "own") -> PromptConfig:
    """conf/prompt/`choice` as the model `name` takes it."""
    config = copy.deepcopy(_composed(choice))
    config.model.prompt = configured(name).prompt
    return PromptConfig(**OmegaConf.to_container(config.prompt, resolve=True))


def ids_of(name: str, question: str, choice: str = "own") -> list[int]:
    return prompt_ids(tokenizer_of(name), configured(name), prompt_of(name, choice), question)


def text_of(name: str, question: str, choice: str = "own") -> str:
    return tokenizer_of(name).decode(ids_of(name, question, choice))


def spell(name: str, parts: list[str | bytes | int]) -> list[int]:
    tokens = tokenizer_of(name).get_added_vocab()
    ids = []
    for part in parts:
        ids += [tokens[part]] if isinstance(part, str) else part if isinstance(part, bytes) else [part]
    return ids


def special_ids(name: str) -> set[int]:
    return {i for i, token in tokenizer_of(name).added_tokens_decoder.items() if token.special}
