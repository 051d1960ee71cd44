"""Seconds and peak memory of the phases of a step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sweep.run.memory import memory_in_use, peak_memory, reset_peak_memory


class Phases:
    """Collects, between two calls of `metrics`, what each named phase took; a phase may come in several parts."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._seconds: dict[str, float] = {}
        self._peaks: dict[str, int] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measure a phase; one inside another counts for both."""
        self._note_peak()  # of the phase around this one, so far
        self._open.append(name)
        reset_peak_memory()
        began = time.perf_counter()
        yield
        self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - began
        self._note_peak()
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
