"""Import what a job runs, which with torch, transformers and DeepSpeed is thousands of modules."""

from __future__ import annotations

import gc
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Protocol


class Place(Protocol):
    """Which of a job's processes this one is; submitit's JobEnvironment is such a place."""

    @property
    def global_rank(self) -> int: ...

    @property
    def num_tasks(self) -> int: ...

    @property
    def local_rank(self) -> int: ...


def run_stage(name: str, directory: Path, place: Place, meeting: Path) -> None:
    """Do this process's part of a stage's work.

    Args:
        name: the stage's module.
        directory: the run's.
        meeting: the file in which the processes of this attempt find each other.
    """
    import_stage(name).main(directory, place.global_rank, place.num_tasks, place.local_rank, meeting)


def import_stage(name: str) -> ModuleType:
    """The module of a stage.

    Importing makes objects by the million and garbage of hardly any, which Python would look for again and again: a
    fifth of the time. What is there afterwards stays for as long as the process, and is not looked through any more.
    """
    if name in sys.modules:
        return sys.modules[name]
    collecting = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
