"""Import what a job runs, which with torch, transformers and DeepSpeed is thousands of modules."""

from __future__ import annotations

import gc
import importlib
from types import ModuleType


def import_stage(name: str) -> ModuleType:
    """The module of a stage.

    Importing makes objects by the million and garbage of hardly any, which Python would look for again and again: a
    fifth of the time. What is there afterwards stays for as long as the process, and is not looked through any more.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
