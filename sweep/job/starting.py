"""Where the seconds go between the start of a process and the end of its first step."""

from __future__ import annotations

import os
import time
from pathlib import Path


class Starting:
    """Takes the time of each part of a start, one after another. `parts`: seconds by name."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self.ended = False
        self._reached = time.monotonic() - age()

    def reached(self, part: str) -> None:
        """Everything since the last call, or since the process started, was `part`; nothing counts after the end."""
        if not self.ended:
            now = time.monotonic()
            self.parts[part] = now - self._reached
            self._reached = now

    def end(self) -> str:
        """The first step is over; returns the parts as a line for the log."""
        self.ended = True
        named = ", ".join(f"{part} {seconds:.1f}" for part, seconds in self.parts.items())
        return f"the first step ended {sum(self.parts.values()):.1f} s after the process started: {named}"


def age() -> float:
    """Seconds since this process started, to a hundredth; 0 where the system does not tell."""
    stat = Path("/proc/self/stat")
    if not hasattr(time, "CLOCK_BOOTTIME") or not stat.exists():
        return 0.0
    # The name of the program, in parentheses, may hold spaces. The start is the 22nd field, in ticks since the boot.
    started = int(stat.read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started
