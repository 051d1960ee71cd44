"""Decide whether a process has stayed in a phase for too long: pure functions of counts and seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.config.cell import ChecksConfig
from sweep.run.ranks import Beat

SILENT_BEATS = 10  # a process that has missed this many beats counts as silent
JOINING = "joining"  # the phase in which a process waits for all others to come


def patience(past: Sequence[float], checks: ChecksConfig) -> float:
    """Return how many seconds a process may stay in a phase.

    Args:
        past: the seconds that the phase took before. The longest of them counts, because to stop a run that is merely
            slow costs more than to stop a run that hangs a little late.
    """
    if not past:
        return checks.stall_hours * 3600
    return max(checks.stall_minutes * 60, checks.stall_factor * max(past))


def beat_seconds(checks: ChecksConfig) -> float:
    """Return the seconds between two beats of a process: a fortieth of the shortest patience, and at most 15 s."""
    return min(15.0, max(0.2, checks.stall_minutes * 60 / 40))


class AwakeClock:
    """Counts the seconds during which this process was awake to see something happen.

    A process that was itself stopped (a suspended job, a closed laptop) would find on waking that nothing has moved for
    an hour, which is no reason to give up. Each interval between two ticks therefore counts for at most twice the
    interval that was planned.
    """

    def __init__(self, interval: float, now: float) -> None:
        self._most, self._last, self.seconds = 2 * interval, now, 0.0

    def tick(self, now: float) -> float:
        """Count the seconds since the last tick; return the sum."""
        self.seconds += min(now - self._last, self._most)
        self._last = now
        return self.seconds


@dataclass(frozen=True)
class Standing:
    """The phase of a process, and how long it has been in it.

    beat: its latest beat; None if it never sent one.
    still_seconds: since it last entered or left a phase.
    silent_seconds: since its latest beat.
    waits_for: the ranks that it waits for in vain because they have ended, as a rank does that is stopped at its start.
    """

    rank: int
    beat: Beat | None
    still_seconds: float
    silent_seconds: float
    waits_for: tuple[int, ...] = ()

    @property
    def overdue(self) -> bool:
        """True if the process has been in its phase for too long, or waits in vain."""
        if self.beat is None or self.beat.ended:
            return False
        return bool(self.waits_for) or self.still_seconds > self.beat.patience


class Observer:
    """Measures how long the counts in each process's beats have not changed, on the clock of the observing process."""

    def __init__(self, world_size: int) -> None:
        self._moved = {rank: (0, 0.0) for rank in range(world_size)}
        self._spoke = dict(self._moved)

    def look(self, beats: Mapping[int, Beat], now: float) -> list[Standing]:
        """Return the standing of every process at `now`, in seconds of an `AwakeClock`."""
        found, left = [], tuple(rank for rank, beat in sorted(beats.items()) if beat.ended)
        for rank in self._moved:
            beat = beats.get(rank)
            if beat and beat.changes != self._moved[rank][0]:
                self._moved[rank] = (beat.changes, now)
            if beat and beat.beats != self._spoke[rank][0]:
                self._spoke[rank] = (beat.beats, now)
            waits_for = left if beat and beat.phase == JOINING else ()
            found.append(Standing(rank, beat, now - self._moved[rank][1], now - self._spoke[rank][1], waits_for))
        return found


def answering(standings: Sequence[Standing], interval: float) -> list[int]:
    """Return the ranks that still send beats, which come every `interval` seconds."""
    return [
        s.rank
        for s in standings
        if s.beat and not s.beat.ended and s.silent_seconds <= max(2.0, SILENT_BEATS * interval)
    ]


def complaint(standings: Sequence[Standing], heard: Sequence[int]) -> str:
    """Return the message that says which ranks hang, where and for how long; silent ranks come first.

    Args:
        heard: the ranks that still send beats.
    """
    mute = [s for s in standings if s.rank not in heard and not (s.beat and s.beat.ended)]
    overdue = [s for s in standings if s.overdue and s.rank in heard]
    parts = [f"rank {s.rank} {_silence(s)}" for s in mute]
    parts += [f"rank {s.rank} in {_place(s)} {_how_long(s)}" for s in overdue]
    return "no progress: " + "; ".join(parts)


def _how_long(standing: Standing) -> str:
    if standing.waits_for:
        return f"without rank {', '.join(map(str, standing.waits_for))}, which had left before"
    return f"for {_duration(standing.still_seconds)}"


def _silence(standing: Standing) -> str:
    if standing.beat is None:
        return "never began"
    return f"has not answered for {_duration(standing.silent_seconds)}, last in {_place(standing)}"


def _place(standing: Standing) -> str:
    return f"{standing.beat.phase} on {standing.beat.host}"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
