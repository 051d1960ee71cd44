"""What state a run is in, from its directory alone."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from sweep.run.costs import Cost
from sweep.run.directory import RunDirectory
from sweep.run.ledger import Sweep
from sweep.run.state import RunState, State
from sweep.run.unwritable import disk_state

SILENT_SECONDS = 300  # a process without a heartbeat for so long has stalled
SLOW_STEPS, SLOW_SECONDS = 20, 3600  # so has one that takes as long as 20 of its steps, and an hour


@dataclass(frozen=True)
class Status:
    """One line of the live view. Seconds: of a checkpoint's writing, and between a job's signal and its end.

    `run` is the name of the run directory: two runs may have one label. `cost`: of all its attempts so far.
    """

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
    run: str = ""
    cost: Cost = field(default_factory=Cost)

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
            written = written.model_copy(update=_without_process(run))
    state, note, pace = written.state, written.note, written.seconds_per_step
    if state == State.RUNNING and (standstill := stands_still(written, silence(run))):
        state, note = State.STALLED, standstill
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
        run=path.name,
        cost=written.cost(run.last_heartbeat() if written.begun else None),
    )


def silence(run: RunDirectory) -> tuple[float, float]:
    """Seconds since the last heartbeat, and since the state was last written."""
    now = time.time()
    return run.heartbeat_age() or 0.0, now - (run.read_state().updated or now)


def stands_still(written: RunState, silence: tuple[float, float]) -> str:
    """How it shows that a run whose process is there makes no progress; "" where nothing shows it."""
    (heartbeat_age, state_age), pace = silence, written.seconds_per_step
    if heartbeat_age > SILENT_SECONDS:
        return f"no heartbeat for {heartbeat_age / 60:.0f} min"
    if pace and state_age > max(SLOW_SECONDS, SLOW_STEPS * pace):
        return f"no step for {state_age / 60:.0f} min, {pace:.0f} s are usual"
    return ""


def _without_process(run: RunDirectory) -> dict:
    """State and note of a run whose process died before it could write them."""
    fault = disk_state(run.path)
    if fault is None:
        return {"state": State.INTERRUPTED, "note": "its process is gone"}
    return {"state": State.FAILED, "note": f"its process is gone; {fault}"}


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
