"""Statuses of runs that no ledger lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sweep.run.ledger import Entry
from sweep.run.state import State
from sweep.run.status import Status, read_status


def made_up_entry(label: str, run: str = "", steps: int = 0, module: str = "m", model: str = "a") -> Entry:
    """The entry of a run whose directory, if it matters, is called `run`."""
    return Entry(label, module, {}, model, "b", 0, f"sign-{label}", steps, run, [])


def made_up_status(
    label: str,
    state: State,
    step: int = 0,
    steps: int = 0,
    *numbers: float | None,
    run: str = "",
    module: str = "m",
    model: str = "a",
    **more: Any,
) -> Status:
    """`numbers`: the reward and the accuracy; `more`: other fields of a status."""
    return Status(made_up_entry(label, run, steps, module, model), state, step, *numbers, **more)


def status_of(path: Path, steps: int) -> Status:
    """The status of the run in a directory, whose target is so many steps."""
    return read_status(made_up_entry("a run", path.name, steps), path.parent)
