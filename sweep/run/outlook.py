"""How long what is left of a sweep will take, from the pace of what was measured. Pure: nothing here reads a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sweep.run.costs import duration
from sweep.run.state import State
from sweep.run.status import Status

NAMED = 4  # at most so many kinds of runs that nothing is known of
STAGES = {"baseline": "the baseline", "label": "the labels", "evaluation": "an evaluation"}  # by the stage's module
GIVEN_UP = (
    State.FAILED,
    State.BLOCKED,
    State.REFUSED,
    State.CANCELLED,
)  # goes on only where somebody launches it again


@dataclass(frozen=True)
class Work:
    """A run: the module that its job runs, its model, and its status."""

    module: str
    model: str
    status: Status

    @property
    def kind(self) -> str:
        """What it has in common with the runs that its pace is guessed from."""
        stage = STAGES.get(self.module.rpartition(".")[2])
        return f"{stage} of {self.model}" if stage else f"a training of {self.model}"


@dataclass(frozen=True)
class Outlook:
    """What is left of a sweep.

    runs: how many are not done, without those that ended badly. seconds: of work, one run after another; None where no
    run of some kind was measured, and `unmeasured` names these kinds. at_once: how many run side by side.
    """

    runs: int
    seconds: float | None
    longest: float
    unmeasured: tuple[str, ...]
    at_once: int

    @property
    def until_the_end(self) -> float | None:
        """Seconds until all is done, if as many as now go on side by side; None where that is not known."""
        if self.seconds is None or (self.runs and not self.at_once):
            return None
        return max(self.longest, self.seconds / self.at_once) if self.runs else 0.0

    def words(self) -> str:
        """In a line; "" where nothing is left."""
        if not self.runs:
            return ""
        if self.seconds is None:
            named = ", ".join(self.unmeasured[:NAMED]) + (", …" if len(self.unmeasured) > NAMED else "")
            return f"time left: unknown until one of each was measured: {named}"
        if not self.at_once:
            return f"time left: about {duration(self.seconds)} of runs; none is at work now"
        beside = f", {self.at_once} at a time" if self.at_once > 1 else ""
        return f"time left: about {duration(self.until_the_end)} at the pace so far{beside}"


def outlook(work: Iterable[Work], at_once: int | None = None) -> Outlook:
    """The outlook of a sweep.

    Args:
        at_once: how many runs go on side by side; None: as many as are at work now.
    """
    work = list(work)
    left = [one for one in work if one.status.state != State.DONE and one.status.state not in GIVEN_UP]
    paces = {kind: _pace([o.status for o in work if o.kind == kind]) for kind in {one.kind for one in left}}
    seconds = [_seconds(one.status, paces[one.kind]) for one in left]
    unmeasured = tuple(sorted({one.kind for one, needed in zip(left, seconds, strict=True) if needed is None}))
    known = [needed for needed in seconds if needed is not None]
    running = sum(one.status.state.at_work for one in left) if at_once is None else min(at_once, len(left))
    return Outlook(len(left), None if unmeasured else sum(known), max(known, default=0.0), unmeasured, running)


def _pace(statuses: Sequence[Status]) -> float | None:
    """Mean seconds of a step, or of a whole stage, which has none; None where nothing was measured."""
    seconds, count = 0.0, 0
    for status in statuses:
        cost, steps = status.cost, status.step if status.steps else int(status.state == State.DONE)
        if cost.is_known and not cost.unrecorded and steps:
            seconds, count = seconds + cost.seconds - cost.repeated_seconds, count + steps
    return seconds / count if count else None


def _seconds(status: Status, pace: float | None) -> float | None:
    """What a run still needs; None where nothing tells."""
    if status.seconds_left is not None:
        return status.seconds_left
    if pace is None:
        return None
    if status.steps:
        return max(0, status.steps - status.step) * pace
    return max(0.0, pace - status.cost.seconds) if status.state.at_work else pace
