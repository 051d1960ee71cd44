"""What state a run is in, from its directory alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sweep.run.directory import DONE, INTERRUPTED, RUNNING, RunDirectory

QUEUED, BLOCKED = "queued", "blocked"


@dataclass(frozen=True)
class Status:
    """One line of the live view."""

    label: str
    state: str
    step: int = 0
    steps: int = 0
    reward: float | None = None
    accuracy: float | None = None
    seconds_left: float | None = None
    note: str = ""

    @property
    def ended(self) -> bool:
        return self.state not in (QUEUED, RUNNING)


def read_status(label: str, path: Path, steps: int) -> Status:
    """The run's status; `steps` is the target, which may be higher than when the run last ended."""
    run = RunDirectory(path)
    state = run.read_state()
    name = state.get("state", QUEUED)
    note = state.get("note") or ""
    if name == RUNNING and not run.alive:
        # Read again: between the two looks the run may have ended in good order.
        state = run.read_state()
        name = state.get("state", QUEUED)
        if name == RUNNING:
            name, note = INTERRUPTED, "its process is gone"
    if name == DONE and state.get("steps", 0) < steps:
        name, note = QUEUED, f"done to step {state['steps']}, target now {steps}"
    step, pace = state.get("step", 0), state.get("seconds_per_step")
    left = (steps - step) * pace if name == RUNNING and pace else None
    return Status(label, name, step, steps, state.get("reward"), state.get("accuracy"), left, note)
