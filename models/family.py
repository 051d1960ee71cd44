"""What differs between model families. Each family is a module of this package with:

STOP_TOKENS            tokens that end a response; those a tokenizer lacks are passed over
TURN_TEXTS             marks of turns that are plain text to the tokenizer, so that a problem could forge them
model_classes          function: (configuration, model) classes of transformers; only for families with a mini
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType

import models

SHARED = {
    "architecture",
    "attention",
    "bfloat16",
    "config",
    "export",
    "family",
    "hub",
    "load",
    "permissions",
    "prompts",
}  # the modules of models/ that serve all families


@cache
def families() -> tuple[str, ...]:
    """The names of all families: the modules of this package that are not shared by all."""
    found = pkgutil.iter_modules(models.__path__)
    return tuple(sorted(m.name for m in found if not m.ispkg and m.name not in SHARED))


def load_family(name: str) -> ModuleType:
    """The module that owns family `name`."""
    if name not in families():
        raise ValueError(f"family {name!r} is unknown; choose one of {', '.join(families())}")
    return importlib.import_module(f"models.{name}")
