"""Time the parts of a start, from the start of the process to the end of its first step."""

from __future__ import annotations

import os
import time
from pathlib import Path

_latest_end = 0.0  # of an attempt in this process, on the clock of time.monotonic


def another_follows() -> None:
    """Note that an attempt has ended: if the process begins another, the start of that one is timed from here."""
    global _latest_end
    _latest_end = time.monotonic()


class Starting:
    """A clock for the parts of a start; `reached` ends a part. `parts`: the seconds of each, by name."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self.ended = False
        self._reached = max(time.monotonic() - age(), _latest_end)

    def reached(self, part: str) -> None:
        """Count the time since the last call, at first since the process started, as `part`; after `end` do nothing.

        In a process that works on one run after another, the time starts at the end of the run before.
        """
        if not self.ended:
            now = time.monotonic()
            self.parts[part] = now - self._reached
            self._reached = now

    def end(self) -> str:
        """Stop the clock, because the first step is over. Return the parts as a line for the log."""
        self.ended = True
        named = ", ".join(f"{part} {seconds:.1f}" for part, seconds in self.parts.items())
        return f"the first step ended {sum(self.parts.values()):.1f} s after the process started: {named}"


def age() -> float:
    """Return the seconds since this process started, to a hundredth; 0 if the system does not tell."""
    stat = Path("/proc/self/stat")
    if not hasattr(time, "CLOCK_BOOTTIME") or not stat.exists():
        return 0.0
    # The name of the program, in parentheses, may hold spaces. The start is the 22nd field, in ticks since the boot.
    started = int(stat.read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started
