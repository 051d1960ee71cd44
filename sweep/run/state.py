"""The state of a run: all its possible values, and every key of `state.json`."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, ConfigDict

from sweep.run.costs import Cost, Spent, cost_of


class State(str, Enum):
    """The states of a run, as records, Slurm and tables name them."""

    # A job writes these into its run directory.
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    REFUSED = "refused"  # the job found that the run is impossible, for example with too few labels
    # These follow from the directory and from the runs that this one waits for.
    QUEUED = "queued"
    BLOCKED = "blocked"
    # These come from the cluster, not from the run's own directory.
    NOT_SUBMITTED = "not submitted"  # a launch ended before it could submit the run, or was not allowed to
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
        """True if the run does not go on unless it is launched again."""
        return self not in ACTIVE

    @property
    def at_work(self) -> bool:
        """True if a process works on the run, or should."""
        return self in (State.RUNNING, State.STALLED)


ACTIVE = (State.QUEUED, State.RUNNING, State.REQUEUED, State.STALLED)


class Stall(BaseModel):
    """An attempt that was ended because it made no progress.

    reached: the run's progress at that time. hosts: the machines that it ran on.
    """

    model_config = ConfigDict(frozen=True)

    attempt: int
    reached: int
    hosts: list[str]
    reason: str


class RunState(BaseModel):
    """The content of `state.json`. Keys that this version of the code does not know are ignored.

    attempt: the number of attempts so far; the first one is 1.
    pid, process_started, host: the process that works on the run, when it started (seconds since 1970), and its
    machine.
    devices: the GPUs that the attempt may use, as CUDA_VISIBLE_DEVICES names them; "" for none, None if it is not set.
    job: Slurm's id of its job, ARRAY_INDEX; None elsewhere. grace_seconds: from its SIGTERM to its SIGKILL.
    started, updated: when the attempt began, and when the state was last written (seconds since 1970).
    error: the error that ended the attempt, in one line. note: a remark that is shown with the state.
    step, steps: the last finished step, and the target; progress: the count of a stage that has no steps.
    reward: the mean of the last step's training rewards. accuracy: of the last evaluation.
    rolled_back_from: the step of the checkpoint that training went back from, once, because the next step was not
    finite.
    seconds_per_step, tokens_per_second: of the last step. save_seconds: of the slowest checkpoint.
    data: rows read, left out and repeated, by split. prompts_left_out: the number of too long prompts, by split.
    problems: the number that a reward with labels can train on, and the number that were labelled.
    stalls: the attempts without progress since the run last made any, oldest first.
    spent: the cost of each attempt, the latest last; attempts of older versions of the code are missing.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: State = State.QUEUED
    attempt: int = 0
    pid: int | None = None
    process_started: float | None = None
    host: str | None = None
    devices: str | None = None
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
        """True if any attempt has written a state."""
        return self.updated is not None

    @property
    def reached(self) -> int:
        """The progress that a later attempt need not make again: steps, or a stage's own count."""
        return self.step if self.progress is None else self.progress

    def cost(self, heartbeat: float | None) -> Cost:
        """Return the cost of the run so far; `heartbeat`: the time of its last heartbeat, in seconds since 1970, or
        None.
        """
        return cost_of(self.spent, self.attempt, self._last_sign(heartbeat))

    def with_attempt_closed(self, heartbeat: float | None) -> list[Spent]:
        """Return the attempts' costs with the end of the latest one set; `heartbeat` must be from before the next one
        began.
        """
        if not self.spent or self.spent[-1].until is not None:
            return self.spent
        latest = self.spent[-1]
        until = max(self._last_sign(heartbeat), latest.began)
        return [*self.spent[:-1], latest.model_copy(update={"until": until})]

    def _last_sign(self, heartbeat: float | None) -> float:
        """Return when the latest attempt was last seen alive: its last record or heartbeat, whichever is later.

        An attempt that recorded how it ended did so at its end. The heartbeat's file then shows nothing more, and if
        the directory was copied, its time is that of the copy.
        """
        written = self.updated or 0.0
        return max(written, heartbeat or 0.0) if self.state == State.RUNNING else written

    @property
    def starts_again(self) -> bool:
        """True if the latest attempt ended itself because it made no progress; whoever started it starts it again."""
        ended_itself = bool(self.stalls) and self.stalls[-1].attempt == self.attempt
        return self.state == State.INTERRUPTED and ended_itself
