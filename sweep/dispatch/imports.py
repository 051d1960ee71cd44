"""Import the modules that a job runs: thousands, because of torch, transformers and DeepSpeed."""

from __future__ import annotations

import gc
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Protocol


class Place(Protocol):
    """The place of a process in its job. submitit's JobEnvironment has the same properties."""

    @property
    def global_rank(self) -> int:
        """The number of the process among all of the job."""

    @property
    def num_tasks(self) -> int:
        """The number of processes of the job."""

    @property
    def local_rank(self) -> int:
        """The number of the process among those on its machine."""


def run_stage(name: str, directory: Path, place: Place, meeting: Path) -> None:
    """Do this process's part of a stage's work.

    Args:
        name: the stage's module.
        directory: the run's directory.
        meeting: the file in which the processes of this attempt find each other.
    """
    import_stage(name).main(directory, place.global_rank, place.num_tasks, place.local_rank, meeting)


def import_stage(name: str) -> ModuleType:
    """Import and return the module of a stage.

    Importing makes millions of objects and hardly any garbage. Python's collector would look through them again and
    again, which takes a fifth of the time, so it is off meanwhile. The objects stay until the process ends, so later
    collections skip them.
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
