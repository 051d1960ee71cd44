"""The differences between model families. Each family is a module of this package with:

STOP_TOKENS            tokens that end a response; tokens that a tokenizer lacks are skipped
TURN_TEXTS             marks of turns that are plain text to the tokenizer, so that a problem could forge them
model_classes          function: (configuration, model) classes of transformers; only for families with a mini
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType

import models

# Every module of models/ that is not listed here is a family that `model.family` may name. For example, adding
# models/mistral.py adds the family `mistral`. A new module that is not a family must therefore be added here.
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
}


@cache
def families() -> tuple[str, ...]:
    """Return the names of all families: the modules of this package that are not in SHARED."""
    found = pkgutil.iter_modules(models.__path__)
    return tuple(sorted(m.name for m in found if not m.ispkg and m.name not in SHARED))


def load_family(name: str) -> ModuleType:
    """Return the module of the family `name`.

    Raises:
        ValueError: there is no such family.
    """
    if name not in families():
        raise ValueError(f"family {name!r} is unknown; choose one of {', '.join(families())}")
    return importlib.import_module(f"models.{name}")
