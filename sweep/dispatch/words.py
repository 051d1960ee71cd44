"""The colour and the order of runs' states, and the format of their numbers. Pure."""

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
# Failed runs first, then those that wait for them, those that stalled or were left unfinished, and all others.
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
    """Return the colour of a state; "" if it has none."""
    return COLOURS.get(state, "")


def in_order(statuses: Sequence[Status]) -> list[Status]:
    """Return the runs that need attention first; those of one state stay in their order."""
    return sorted(statuses, key=lambda s: ATTENTION.index(s.state))


def needs_attention(state: State) -> bool:
    """Return whether a run in this state failed or was left unfinished."""
    return state in TO_MEND or state in LEFT_OFF


def number(value: float | None) -> str:
    """Return a value with three decimals; "" if there is none."""
    return "" if value is None else f"{value:.3f}"
