"""States, times and numbers of runs in words, and which runs need attention first. Pure."""

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


def duration(seconds: float | None) -> str:
    """Minutes and seconds, or hours, minutes and seconds."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def time_left(statuses: Sequence[Status]) -> str:
    """When the sweep will have ended, as far as its runs tell.

    Runs that have not begun are taken to go at the mean pace of those that run, as many at a time as run now. What a
    run does besides its steps, and what a cluster decides, is not known.
    """
    active = [s for s in statuses if not s.ended]
    if not active:
        return "every run has ended"
    if not any(s.state.at_work for s in active):
        return "nothing runs at the moment"
    timed = [s for s in active if s.seconds_left is not None]
    waiting = [s for s in active if s.seconds_left is None and s.steps]
    paces = [s.seconds_left / (s.steps - s.step) for s in timed if s.step < s.steps]
    if not timed or (waiting and not paces):
        return "time left: not known before a cell has made a step"
    longest = max(s.seconds_left for s in timed)
    if not waiting:
        return f"about {duration(longest)} left"
    at_once = sum(s.state.at_work and bool(s.steps) for s in active)
    to_come = sum(s.steps - s.step for s in waiting) * sum(paces) / len(paces)
    left = max(longest, (sum(s.seconds_left for s in timed) + to_come) / at_once)
    return f"about {duration(left)} left if {at_once} at a time go on at this pace"
