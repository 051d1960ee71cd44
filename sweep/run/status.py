"""Find the state of a run from its directory alone."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from sweep.run.costs import Cost
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.run.ledger import Sweep
from sweep.run.state import RunState, State
from sweep.run.unwritable import disk_state

SILENT_SECONDS = 300  # a process without a heartbeat for so long has stalled
SLOW_STEPS, SLOW_SECONDS = 20, 3600  # so has one whose step takes longer than 20 usual steps and than an hour


@dataclass(frozen=True)
class Status:
    """The state of a cell or a stage, and its progress.

    entry: the record of the run. step: the last step that it finished. seconds_left: until its last step at the pace of
    the latest steps. save_seconds: of its slowest checkpoint. grace_seconds: between the signal that its job gets and
    the end of the job. job: Slurm's id, or "". devices: the GPUs of its latest attempt, as CUDA_VISIBLE_DEVICES names
    them; None if it was not set. note: a remark to show beside the state. cost: of all its attempts.
    """

    entry: Entry
    state: State
    step: int = 0
    reward: float | None = None
    accuracy: float | None = None
    tokens_per_second: float | None = None
    seconds_left: float | None = None
    save_seconds: float | None = None
    grace_seconds: float | None = None
    job: str = ""
    devices: str | None = None
    note: str = ""
    cost: Cost = field(default_factory=Cost)

    @property
    def label(self) -> str:
        """The run's name in tables and messages."""
        return self.entry.label

    @property
    def steps(self) -> int:
        """The target of a training; 0 for anything else."""
        return self.entry.steps

    @property
    def run(self) -> str:
        """The name of the run's directory; two runs may have one label."""
        return self.entry.run

    @property
    def ended(self) -> bool:
        """True if the run does not go on unless it is launched again."""
        return self.state.ended

    def as_json(self) -> dict:
        """Return the values that `status --json` shows."""
        names = ("state", "step", "steps", "reward", "accuracy", "tokens_per_second", "seconds_left", "save_seconds")
        more = ("grace_seconds", "job", "devices", "note", "run")
        values = {name: getattr(self, name) for name in ("label", *names, *more)}
        return values | {"cost": asdict(self.cost)}


def read_status(entry: Entry, root: Path) -> Status:
    """Return the status of a run of the output directory `root`.

    The target of `entry` may be higher than when the run last ended: the run then counts as queued again.
    """
    run, steps = RunDirectory(root / entry.directory), entry.steps
    written, state, note = _observed(run)
    pace = written.seconds_per_step
    if state == State.DONE and written.steps < steps:
        state, note = State.QUEUED, f"done to step {written.steps}, target now {steps}"
    return Status(
        entry,
        state,
        step=written.step,
        reward=written.reward,
        accuracy=written.accuracy,
        tokens_per_second=written.tokens_per_second,
        seconds_left=(steps - written.step) * pace if state == State.RUNNING and pace else None,
        save_seconds=written.save_seconds,
        grace_seconds=written.grace_seconds,
        devices=written.devices,
        note=note,
        cost=written.cost(run.last_heartbeat() if written.begun else None),
    )


def read_state(path: Path) -> State:
    """Return the state of the stage, which has no steps, whose run directory is `path`."""
    return _observed(RunDirectory(path))[1]


def _observed(run: RunDirectory) -> tuple[RunState, State, str]:
    """Return what a run last wrote, and its state and note now: its process may be gone, or stand still."""
    written = run.read_state()
    if written.state == State.RUNNING and not run.alive:
        # Read again, because the run may have ended normally between the two reads.
        written = run.read_state()
        if written.state == State.RUNNING:
            written = written.model_copy(update=_without_process(run))
    if written.state == State.RUNNING and (standstill := stands_still(written, silence(run))):
        return written, State.STALLED, standstill
    return written, written.state, written.note


def silence(run: RunDirectory) -> tuple[float, float]:
    """Return the seconds since the last heartbeat, and since the state was last written."""
    now = time.time()
    return run.heartbeat_age() or 0.0, now - (run.read_state().updated or now)


def stands_still(written: RunState, silence: tuple[float, float]) -> str:
    """Return the reason why a run with a live process counts as stalled; "" if it does not."""
    (heartbeat_age, state_age), pace = silence, written.seconds_per_step
    if heartbeat_age > SILENT_SECONDS:
        return f"no heartbeat for {heartbeat_age / 60:.0f} min"
    if pace and state_age > max(SLOW_SECONDS, SLOW_STEPS * pace):
        return f"no step for {state_age / 60:.0f} min, {pace:.0f} s are usual"
    return ""


def _without_process(run: RunDirectory) -> dict:
    """Return state and note of a run whose process died before it could write them."""
    fault = disk_state(run.path)
    if fault is None:
        return {"state": State.INTERRUPTED, "note": "its process is gone"}
    return {"state": State.FAILED, "note": f"its process is gone; {fault}"}


def sweep_statuses(sweep: Sweep) -> tuple[list[Status], list[Status]]:
    """Return the statuses of the stages and of the cells. A cell that waits for a failed stage is blocked."""
    found: dict[str, Status] = {}
    for entry in (*sweep.stages, *sweep.cells):
        found[entry.directory] = blocked_by([found[d] for d in entry.stages], read_status(entry, sweep.root))
    return [found[e.directory] for e in sweep.stages], [found[e.directory] for e in sweep.cells]


def blocked_by(needs: list[Status], status: Status) -> Status:
    """Return `status`, or a blocked one with the reason if the run waits for something that ended without success."""
    broken = [n for n in needs if n.ended and n.state not in (State.DONE, State.NOT_SUBMITTED)]
    if status.state in (State.QUEUED, State.CANCELLED, State.NOT_SUBMITTED) and broken:
        return replace(status, state=State.BLOCKED, note=f"{broken[0].label} {broken[0].state}")
    return status
