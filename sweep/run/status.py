"""What state a run is in, from its directory alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sweep.run.directory import RunDirectory
from sweep.run.ledger import Sweep
from sweep.run.state import State


@dataclass(frozen=True)
class Status:
    """One line of the live view. Seconds: of a checkpoint's writing, and between a job's signal and its end."""

    label: str
    state: State
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
        return self.state.ended


def read_status(label: str, path: Path, steps: int) -> Status:
    """The run's status; `steps` is the target, which may be higher than when the run last ended."""
    run = RunDirectory(path)
    written = run.read_state()
    if written.state == State.RUNNING and not run.alive:
        # Read again: between the two looks the run may have ended in good order.
        written = run.read_state()
        if written.state == State.RUNNING:
            written = written.model_copy(update={"state": State.INTERRUPTED, "note": "its process is gone"})
    state, note, pace = written.state, written.note, written.seconds_per_step
    if state == State.DONE and written.steps < steps:
        state, note = State.QUEUED, f"done to step {written.steps}, target now {steps}"
    return Status(
        label,
        state,
        written.step,
        steps,
        written.reward,
        written.accuracy,
        written.tokens_per_second,
        (steps - written.step) * pace if state == State.RUNNING and pace else None,
        written.save_seconds,
        written.grace_seconds,
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
    broken = [n for n in needs if n.ended and n.state not in (State.DONE, State.NOT_SUBMITTED)]
    if status.state in (State.QUEUED, State.CANCELLED, State.NOT_SUBMITTED) and broken:
        return replace(status, state=State.BLOCKED, note=f"{broken[0].label} {broken[0].state}")
    return status
