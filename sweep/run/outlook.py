"""Estimate the time that the rest of a sweep takes, from the pace of measured runs. Pure: it reads no file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sweep.run.costs import duration
from sweep.run.entry import Entry
from sweep.run.state import State
from sweep.run.status import Status

NAMED = 4  # most kinds of unmeasured runs that are named
STAGES = {"baseline": "the baseline", "label": "the labels", "evaluation": "an evaluation"}  # by the stage's module
GIVEN_UP = (
    State.FAILED,
    State.BLOCKED,
    State.REFUSED,
    State.CANCELLED,
)  # such a run goes on only if it is launched again


@dataclass(frozen=True)
class Outlook:
    """The rest of a sweep.

    runs: how many are not done, without those that failed. seconds: their work, one run after another; None if no run
    of some kind was measured, and then `unmeasured` names these kinds. at_once: how many run at the same time.
    """

    runs: int
    seconds: float | None
    longest: float
    unmeasured: tuple[str, ...]
    at_once: int

    @property
    def until_the_end(self) -> float | None:
        """Seconds until all is done if as many runs as now go on at the same time; None if unknown."""
        if self.seconds is None or (self.runs and not self.at_once):
            return None
        return max(self.longest, self.seconds / self.at_once) if self.runs else 0.0

    def words(self) -> str:
        """Return the outlook in one line; "" if nothing is left."""
        if not self.runs:
            return ""
        if self.seconds is None:
            named = ", ".join(self.unmeasured[:NAMED]) + (", …" if len(self.unmeasured) > NAMED else "")
            return f"time left: unknown until one of each was measured: {named}"
        until_the_end = self.until_the_end
        if until_the_end is None:
            return f"time left: about {duration(self.seconds)} of runs; none is at work now"
        beside = f", {self.at_once} at a time" if self.at_once > 1 else ""
        return f"time left: about {duration(until_the_end)} at the pace so far{beside}"


def outlook(statuses: Iterable[Status], at_once: int | None = None) -> Outlook:
    """Return the outlook of a sweep, or of some of its runs.

    Args:
        at_once: how many runs go on at the same time; None for as many as run now.
    """
    by_kind: dict[str, list[Status]] = {}
    left = []
    for status in statuses:
        by_kind.setdefault(_kind(status.entry), []).append(status)
        if status.state != State.DONE and status.state not in GIVEN_UP:
            left.append(status)
    kinds = [_kind(status.entry) for status in left]
    paces = {kind: _pace(by_kind[kind]) for kind in set(kinds)}
    seconds = [_seconds(status, paces[kind]) for status, kind in zip(left, kinds, strict=True)]
    unmeasured = tuple(sorted({kind for kind, needed in zip(kinds, seconds, strict=True) if needed is None}))
    known = [needed for needed in seconds if needed is not None]
    running = sum(status.state.at_work for status in left) if at_once is None else min(at_once, len(left))
    return Outlook(len(left), None if unmeasured else sum(known), max(known, default=0.0), unmeasured, running)


def _kind(entry: Entry) -> str:
    """Return the kind of a run: runs of one kind are assumed to have the same pace."""
    stage = STAGES.get(entry.module.rpartition(".")[2])
    return f"{stage} of {entry.model}" if stage else f"a training of {entry.model}"


def _pace(statuses: Sequence[Status]) -> float | None:
    """Return the mean seconds of a step, or of a whole stage, which has no steps; None if nothing was measured."""
    seconds, count = 0.0, 0
    for status in statuses:
        cost, steps = status.cost, status.step if status.steps else int(status.state == State.DONE)
        if cost.is_known and not cost.unrecorded and steps:
            seconds, count = seconds + cost.seconds - cost.repeated_seconds, count + steps
    return seconds / count if count else None


def _seconds(status: Status, pace: float | None) -> float | None:
    """Return the seconds that a run still needs; None if unknown."""
    if status.seconds_left is not None:
        return status.seconds_left
    if pace is None:
        return None
    if status.steps:
        return max(0, status.steps - status.step) * pace
    return max(0.0, pace - status.cost.seconds) if status.state.at_work else pace
