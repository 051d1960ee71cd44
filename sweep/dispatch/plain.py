"""Show a sweep as plain lines that stay: in a file, a pipe, the log of a job, or between the logs of inline runs."""

from __future__ import annotations

import time

from rich.console import Console

from sweep.run.costs import duration
from sweep.run.state import State
from sweep.run.status import Status
from sweep.shown import shown


class PlainLines:
    """Prints a line whenever a run changes its state or its note, and at every quarter of its steps."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._shown: dict[str, tuple] = {}
        self._warning = ""

    def show(self, statuses: list[Status], warning: str = "") -> None:
        """Print the runs that changed. `warning`: why the statuses may be old; it and its end are printed once."""
        if warning != self._warning:
            self._print(shown(warning) or "Slurm answers again")
            self._warning = warning
        for s in statuses:
            quarter = 4 * s.step // s.steps if s.steps and s.state == State.RUNNING else 0
            note = s.note.partition(":")[0]
            run = s.run or s.label
            if self._shown.get(run) == (s.state, quarter, note):
                continue
            self._shown[run] = (s.state, quarter, note)
            self._print(f"{time.strftime('%H:%M:%S')} {plain_line(s)}")

    def pause(self, seconds: float) -> bool:
        """Wait; return True, because only a signal can end this view."""
        time.sleep(seconds)
        return True

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=True, markup=False)


def plain_line(s: Status) -> str:
    """Return the status of a run as one line."""
    parts = [shown(s.label), s.state]
    if s.steps and s.step:
        parts.append(f"step {s.step}/{s.steps}")
    if s.reward is not None and s.steps:
        parts.append(f"reward {s.reward:.3f}")
    if s.accuracy is not None:
        parts.append(f"accuracy {s.accuracy:.3f}")
    if s.state == State.RUNNING and s.tokens_per_second:
        parts.append(f"{s.tokens_per_second:.0f} tokens/s")
    if s.seconds_left is not None:
        parts.append(f"{duration(s.seconds_left)} left")
    if s.state == State.RUNNING and s.devices:
        parts.append(f"GPU {shown(s.devices)}")
    if s.note:
        parts.append(f"({shown(s.note)})")
    return "  ".join(parts)
