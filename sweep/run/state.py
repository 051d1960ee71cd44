"""The state of a run: every value it may have, and every key of `state.json`."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, ConfigDict

from sweep.run.costs import Cost, Spent, cost_of


class State(str, Enum):
    """What becomes of a run, as the run directory, Slurm and the tables say it."""

    # What a job writes into its run directory.
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    REFUSED = "refused"  # something that was found out on the way rules the run out
    # What follows from the directory and from the runs that this one waits for.
    QUEUED = "queued"
    BLOCKED = "blocked"
    # What a cluster knows beside the run's own directory.
    NOT_SUBMITTED = "not submitted"  # a launch wanted to and did not get so far, or was not allowed to
    REQUEUED = "requeued"
    STALLED = "stalled"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    OUT_OF_MEMORY = "out of memory"
    NODE_FAILURE = "node failure"

    def __str__(self) -> str:
        return self.value

    @property
    def ended(self) -> bool:
        """Whether nothing more becomes of the run unless somebody launches it again."""
        return self not in ACTIVE

    @property
    def at_work(self) -> bool:
        """Whether a process works on the run, or should."""
        return self in (State.RUNNING, State.STALLED)


ACTIVE = (State.QUEUED, State.RUNNING, State.REQUEUED, State.STALLED)


class Stall(BaseModel):
    """An attempt that was ended because it made no progress.

    reached: what the run had reached by then. hosts: the machines that it ran on.
    """

    model_config = ConfigDict(frozen=True)

    attempt: int
    reached: int
    hosts: list[str]
    reason: str


class RunState(BaseModel):
    """What a job last wrote into `state.json`. Keys of another version of the code are left alone.

    attempt: counts the attempts, from 1.
    pid, process_started, host: the process that works here, when it started (seconds since 1970), and its machine.
    job: Slurm's id of its job, ARRAY_INDEX; None elsewhere. grace_seconds: from its SIGTERM to its SIGKILL.
    started, updated: when the attempt began, and when the state was last written (seconds since 1970).
    error: the error that ended the attempt, in a line. note: what to say beside the state.
    step, steps: the last step that was finished, and the target; progress: what a stage counts instead of steps.
    reward: the mean of the last step's training rewards. accuracy: of the last evaluation.
    rolled_back_from: the step of the checkpoint that training went back from, once, as the next was not finite.
    seconds_per_step, tokens_per_second: of the last step. save_seconds: of the slowest checkpoint.
    data: what was read, left out and repeated, by split. prompts_left_out: how many were too long, by split.
    problems: how many a reward with labels can train on, and how many were labelled.
    stalls: the attempts that made no progress since the run last did, oldest first.
    spent: what each attempt spent, the latest last; attempts of older versions of the code are not among them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: State = State.QUEUED
    attempt: int = 0
    pid: int | None = None
    process_started: float | None = None
    host: str | None = None
    job: str | None = None
    grace_seconds: float | None = None
    started: float | None = None
    updated: float | None = None
    error: str | None = None
    note: str = ""
    step: int = 0
    steps: int = 0
    progress: int | None = None
    reward: float | None = None
    accuracy: float | None = None
    rolled_back_from: int | None = None
    seconds_per_step: float | None = None
    tokens_per_second: float | None = None
    save_seconds: float | None = None
    data: dict[str, dict] = {}
    prompts_left_out: dict[str, int] = {}
    problems: dict[str, int] = {}
    stalls: list[Stall] = []
    spent: list[Spent] = []

    @property
    def begun(self) -> bool:
        """Whether any attempt has written a state."""
        return self.updated is not None

    @property
    def reached(self) -> int:
        """What a later attempt need not do again: steps, or a stage's own count."""
        return self.step if self.progress is None else self.progress

    def cost(self, heartbeat: float | None) -> Cost:
        """What the run cost so far; `heartbeat`: when its heart last beat, in seconds since 1970, if it ever did."""
        return cost_of(self.spent, self.attempt, self._last_sign(heartbeat))

    def with_attempt_closed(self, heartbeat: float | None) -> list[Spent]:
        """What the attempts spent, once the latest of them has ended: `heartbeat` is from before the next one began."""
        if not self.spent or self.spent[-1].until is not None:
            return self.spent
        latest = self.spent[-1]
        until = max(self._last_sign(heartbeat), latest.began)
        return [*self.spent[:-1], latest.model_copy(update={"until": until})]

    def _last_sign(self, heartbeat: float | None) -> float:
        """When the latest attempt was last seen alive: what it wrote, or its heart, whichever is later.

        One that said how it ended did so at its end. The time of its heartbeat's file tells nothing more, and is that
        of a copy where the directory was copied.
        """
        written = self.updated or 0.0
        return max(written, heartbeat or 0.0) if self.state == State.RUNNING else written

    @property
    def starts_again(self) -> bool:
        """Whether the latest attempt ended itself for want of progress, to be started again by whoever started it."""
        ended_itself = bool(self.stalls) and self.stalls[-1].attempt == self.attempt
        return self.state == State.INTERRUPTED and ended_itself
