"""What state a run is in, from its directory alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sweep.run.directory import DONE, INTERRUPTED, RUNNING, RunDirectory
from sweep.run.ledger import Sweep

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


def sweep_statuses(sweep: Sweep) -> tuple[list[Status], list[Status]]:
    """Of the stages and of the cells; a cell that waits for a broken stage is blocked."""
    stages = {path: read_status(path.name, path, 0) for path in sweep.stages()}
    cells = []
    for entry in sweep.cells:
        status = read_status(entry.label, sweep.directory(entry), entry.steps)
        cells.append(blocked_by([stages[sweep.root / s] for s in entry.stages], status))
    return list(stages.values()), cells


def blocked_by(needs: list[Status], status: Status) -> Status:
    """`status`, or blocked with the reason where it waits for something that ended without success."""
    broken = [n for n in needs if n.ended and n.state != DONE]
    if status.state == QUEUED and broken:
        return replace(status, state=BLOCKED, note=f"{broken[0].label} {broken[0].state}")
    return status
