"""Name and time what a process is doing: for the metrics of a step, and for the watchdog that notices a hang."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sweep.job.memory import memory_in_use, peak_memory, reset_peak_memory

KEPT = 20  # latest durations of each phase


@dataclass(frozen=True)
class Place:
    """The phase that a process is in.

    since: when it was entered, as `time.time()` counts.
    changes: how often any phase was entered or left, so that two visits of a phase can be told from one long visit.
    past: the seconds that earlier visits took, the oldest first.
    """

    phase: str
    since: float
    changes: int
    past: Sequence[float]


@dataclass(frozen=True)
class Measured:
    """The measurements of a process's phases.

    seconds, peaks: time, and the most memory in bytes, by the name of a phase.
    held: the bytes that the process holds at the end.
    """

    seconds: dict[str, float]
    peaks: dict[str, int]
    held: int

    def metrics(self) -> dict[str, float]:
        """Return `timing_s/PHASE`, `memory_gb/PHASE` (GiB, if the system tells), and `memory_gb/held`."""
        row = {f"timing_s/{name}": seconds for name, seconds in self.seconds.items()}
        row |= {f"memory_gb/{name}": peak / 2**30 for name, peak in self.peaks.items()}
        return row | {"memory_gb/held": self.held / 2**30}


class Phases:
    """The phases of one process.

    `with phases.at("loading"):` names what the process does, for the watchdog. `with phases("update"):` also measures
    it. A phase may be visited several times in a step, and its seconds add up until `take` returns them.
    """

    def __init__(self) -> None:
        self._open: list[str] = []  # the measured phases that the process is in, the outermost first
        self._seconds: dict[str, float] = {}
        self._peaks: dict[str, int] = {}
        self._past: dict[str, deque[float]] = {}
        # Replaced as a whole and never changed: another thread reads it.
        self.place = Place("starting", time.time(), 1, ())

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Be in the phase `name` without measuring it."""
        around, began = self.place, time.perf_counter()
        past = self._past.setdefault(name, deque(maxlen=KEPT))
        self._move(name, time.time(), tuple(past))
        try:
            yield
            past.append(time.perf_counter() - began)
        finally:
            self._move(around.phase, around.since, around.past)

    def _move(self, phase: str, since: float, past: Sequence[float]) -> None:
        self.place = Place(phase, since, self.place.changes + 1, past)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Be in the phase `name` and measure it. The time of a phase inside another counts for both."""
        self._note_peak()  # the peak is reset below, and so far it belongs to the phases around this one
        self._open.append(name)
        reset_peak_memory()
        began = time.perf_counter()
        try:
            with self.at(name):
                yield
            self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - began
            self._note_peak()
        finally:
            self._open.pop()

    def _note_peak(self) -> None:
        peak = peak_memory() if self._open else None
        if peak is not None:
            self._peaks |= {name: max(peak, self._peaks.get(name, 0)) for name in self._open}

    def take(self) -> Measured:
        """Return the measurements since the last call, and begin again at 0."""
        found = Measured(self._seconds, self._peaks, memory_in_use())
        self._seconds, self._peaks = {}, {}
        return found
