"""What stands for the states and the numbers of runs, and which runs need attention first. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.run.state import State
from sweep.run.status import Status

TO_MEND = (State.FAILED, State.BLOCKED, State.REFUSED, State.TIMED_OUT, State.OUT_OF_MEMORY, State.NODE_FAILURE)
LEFT_OFF = (State.STALLED, State.INTERRUPTED, State.CANCELLED, State.NOT_SUBMITTED, State.REQUEUED)
COLOURS = {
    State.RUNNING: "cyan",
    State.DONE: "green",
    **dict.fromkeys(TO_MEND, "red"),
    **dict.fromkeys(LEFT_OFF, "yellow"),
}
# What broke, then what waits for it, what stands still or was left off, and what goes on by itself.
ATTENTION = (
    State.FAILED,
    State.OUT_OF_MEMORY,
    State.TIMED_OUT,
    State.NODE_FAILURE,
    State.REFUSED,
    State.BLOCKED,
    State.STALLED,
    State.INTERRUPTED,
    State.CANCELLED,
    State.NOT_SUBMITTED,
    State.REQUEUED,
    State.RUNNING,
    State.QUEUED,
    State.DONE,
)


def colour_of(state: State) -> str:
    return COLOURS.get(state, "")


def in_order(statuses: Sequence[Status]) -> list[Status]:
    """The runs that need attention first; those of one state stay in their order."""
    return sorted(statuses, key=lambda s: ATTENTION.index(s.state))


def needs_attention(state: State) -> bool:
    return state in TO_MEND or state in LEFT_OFF


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
