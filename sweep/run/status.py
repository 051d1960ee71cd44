"""What state a run is in, from its directory alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sweep.run.directory import DONE, INTERRUPTED, RUNNING, RunDirectory
from sweep.run.ledger import Sweep

QUEUED, BLOCKED, REFUSED = "queued", "blocked", "refused"
# What a cluster knows beside the run's own directory.
REQUEUED, STALLED, CANCELLED = "requeued", "stalled", "cancelled"
TIMED_OUT, OUT_OF_MEMORY, NODE_FAILURE = "timed out", "out of memory", "node failure"
ACTIVE = (QUEUED, RUNNING, REQUEUED, STALLED)


@dataclass(frozen=True)
class Status:
    """One line of the live view. Seconds: of a checkpoint's writing, and between a job's signal and its end."""

    label: str
    state: str
    step: int = 0
    steps: int = 0
    reward: float | None = None
    accuracy: float | None = None
    tokens_per_second: float | None = None
    seconds_left: float | None = None
    save_seconds: float | None = None
    grace_seconds: float | None = None
    job: str = ""
    note: str = ""

    @property
    def ended(self) -> bool:
        return self.state not in ACTIVE


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
    return Status(
        label,
        name,
        step,
        steps,
        state.get("reward"),
        state.get("accuracy"),
        state.get("tokens_per_second"),
        (steps - step) * pace if name == RUNNING and pace else None,
        state.get("save_seconds"),
        state.get("grace_seconds"),
        note=note,
    )


def sweep_statuses(sweep: Sweep) -> tuple[list[Status], list[Status]]:
    """Of the stages and of the cells; a cell that waits for a broken stage is blocked."""
    found: dict[str, Status] = {}
    for entry in (*sweep.stages, *sweep.cells):
        status = read_status(entry.label, sweep.root / entry.directory, entry.steps)
        found[entry.directory] = blocked_by([found[d] for d in entry.stages], status)
    return [found[e.directory] for e in sweep.stages], [found[e.directory] for e in sweep.cells]


def blocked_by(needs: list[Status], status: Status) -> Status:
    """`status`, or blocked with the reason where it waits for something that ended without success."""
    broken = [n for n in needs if n.ended and n.state != DONE]
    if status.state in (QUEUED, CANCELLED) and broken:
        return replace(status, state=BLOCKED, note=f"{broken[0].label} {broken[0].state}")
    return status
