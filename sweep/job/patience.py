"""When a process has stayed in a phase for too long: pure functions of counts and seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.config.cell import ChecksConfig
from sweep.run.ranks import Beat

SILENT_BEATS = 10  # a process that misses so many of its beats does not answer
JOINING = "joining"  # the phase in which a process waits for all others to come


def patience(past: Sequence[float], checks: ChecksConfig) -> float:
    """Seconds that a process may stay in a phase.

    Args:
        past: seconds that the phase took before. Its usual time is the longest of them: a run that is stopped for
            nothing costs more than one that is stopped late.
    """
    if not past:
        return checks.stall_hours * 3600
    return max(checks.stall_minutes * 60, checks.stall_factor * max(past))


def beat_seconds(checks: ChecksConfig) -> float:
    """How often a process says where it is: 40 times in the shortest patience, and at least every 15 s."""
    return min(15.0, max(0.2, checks.stall_minutes * 60 / 40))


class AwakeClock:
    """Seconds that this process could have seen something happen in.

    A process that was itself stopped (a suspended job, a closed laptop) finds on waking that nothing has moved for an
    hour; that is no reason to give up. So an interval counts for no more than it was meant to be, twice over.
    """

    def __init__(self, interval: float, now: float) -> None:
        self._most, self._last, self.seconds = 2 * interval, now, 0.0

    def tick(self, now: float) -> float:
        self.seconds += min(now - self._last, self._most)
        self._last = now
        return self.seconds


@dataclass(frozen=True)
class Standing:
    """How long a process has stood where it is, and how long it has said nothing. Without `beat` it never began.

    `waits_for`: ranks that it waits for in vain, as they have left; one that is asked to stop at its start does.
    """

    rank: int
    beat: Beat | None
    still_seconds: float
    silent_seconds: float
    waits_for: tuple[int, ...] = ()

    @property
    def overdue(self) -> bool:
        if self.beat is None or self.beat.ended:
            return False
        return bool(self.waits_for) or self.still_seconds > self.beat.patience


class Observer:
    """Times, on the clock of the process that looks, how long each process's counts have stood."""

    def __init__(self, world_size: int) -> None:
        self._moved = {rank: (0, 0.0) for rank in range(world_size)}
        self._spoke = dict(self._moved)

    def look(self, beats: Mapping[int, Beat], now: float) -> list[Standing]:
        """Where every process stands at `now`, in seconds of an `AwakeClock`."""
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
    """The ranks that still say where they are."""
    return [
        s.rank
        for s in standings
        if s.beat and not s.beat.ended and s.silent_seconds <= max(2.0, SILENT_BEATS * interval)
    ]


def complaint(standings: Sequence[Standing], heard: Sequence[int]) -> str:
    """In words: who stays where for how long; those that do not answer first."""
    mute = [s for s in standings if s.rank not in heard and not (s.beat and s.beat.ended)]
    overdue = [s for s in standings if s.overdue and s.rank in heard]
    parts = [f"rank {s.rank} {_silence(s)}" for s in mute]
    parts += [f"rank {s.rank} in {_place(s)} {_how_long(s)}" for s in overdue]
    return "no progress: " + "; ".join(parts)


def _how_long(standing: Standing) -> str:
    if standing.waits_for:
        return f"without rank {', '.join(map(str, standing.waits_for))}, which had left before"
    return f"for {_words(standing.still_seconds)}"


def _silence(standing: Standing) -> str:
    if standing.beat is None:
        return "never began"
    return f"has not answered for {_words(standing.silent_seconds)}, last in {_place(standing)}"


def _place(standing: Standing) -> str:
    return f"{standing.beat.phase} on {standing.beat.host}"


def _words(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
