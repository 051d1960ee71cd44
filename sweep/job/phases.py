"""What a process is doing: for the metrics of a step, and for those who watch whether it gets on."""

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
    """A phase that the process is in, since a time of `time.time()`; `past`: the seconds that it took before.

    `changes` counts entries and exits, so that two looks at the same place are told from two stays in it.
    """

    phase: str
    since: float
    changes: int
    past: Sequence[float]


class Phases:
    """The phases of one process. `metrics` collects what those of a step took; a phase may come in several parts."""

    def __init__(self) -> None:
        self._open: list[str] = []  # of those that are measured for the metrics
        self._seconds: dict[str, float] = {}
        self._peaks: dict[str, int] = {}
        self._past: dict[str, deque[float]] = {}
        # Replaced as a whole and never changed: another thread reads it.
        self.place = Place("starting", time.time(), 1, ())

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Say that the process is in the phase `name`, without a metric."""
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
        """Be in a phase and measure it; one inside another counts for both."""
        self._note_peak()  # of the phase around this one, so far
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

    def seconds(self, name: str) -> float:
        return self._seconds.get(name, 0.0)

    def metrics(self) -> dict[str, float]:
        """`timing_s/PHASE` and `memory_gb/PHASE` since the last call, and `memory_gb/held` now."""
        row = {f"timing_s/{name}": seconds for name, seconds in self._seconds.items()}
        row |= {f"memory_gb/{name}": peak / 2**30 for name, peak in self._peaks.items()}
        self._seconds, self._peaks = {}, {}
        return row | {"memory_gb/held": memory_in_use() / 2**30}
