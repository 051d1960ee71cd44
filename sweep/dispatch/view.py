"""The live view of a sweep: a table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from sweep.run.provenance import ROOT
from sweep.run.state import State
from sweep.run.status import Status

TO_MEND = (State.FAILED, State.BLOCKED, State.REFUSED, State.TIMED_OUT, State.OUT_OF_MEMORY, State.NODE_FAILURE)
LEFT_OFF = (State.INTERRUPTED, State.REQUEUED, State.STALLED, State.CANCELLED, State.NOT_SUBMITTED)
COLOURS = {
    State.RUNNING: "cyan",
    State.DONE: "green",
    **dict.fromkeys(TO_MEND, "red"),
    **dict.fromkeys(LEFT_OFF, "yellow"),
}


def suggested(command: str, root: Path) -> str:
    """A command of `python -m sweep` as one types it for what lies in the output directory `root`."""
    place = "" if root == Path("runs").absolute() else f" --output-dir {shlex.quote(str(root))}"
    return f"`{program()} {command}{place}`"


def program() -> str:
    """What one types here for this project's commands: outside its directory, Python finds no module `sweep`."""
    return "python -m sweep" if Path.cwd() == ROOT else f"python {shlex.quote(str(ROOT / 'sweep'))}"


def console() -> Console:
    """Standard output; wide enough for the tables where it is not a terminal."""
    return Console() if sys.stdout.isatty() else Console(width=140)


@contextmanager
def live_view(title: str, console: Console):
    """Yields a function that shows a list of statuses."""
    if not console.is_terminal:
        yield PlainLines(console)
        return
    with Live(console=console, refresh_per_second=4) as live:
        yield lambda statuses: live.update(status_table(title, statuses))


def status_table(title: str, statuses: list[Status]) -> Table:
    """Every cell and stage: state, step of steps, reward, accuracy, time left."""
    table = Table(title=title, title_justify="left")
    for name, justify in (("run", "left"), ("state", "left"), ("step", "right"), ("reward", "right")):
        table.add_column(name, justify=justify)
    for name, justify in (("accuracy", "right"), ("tokens/s", "right"), ("left", "right"), ("", "left")):
        table.add_column(name, justify=justify)
    for s in statuses:
        colour = COLOURS.get(s.state, "white")
        step = f"{s.step}/{s.steps}" if s.steps else ""
        table.add_row(
            escape(s.label),
            f"[{colour}]{s.state}[/]",
            step,
            _number(s.reward),
            _number(s.accuracy),
            f"{s.tokens_per_second:.0f}" if s.state == State.RUNNING and s.tokens_per_second else "",
            _duration(s.seconds_left),
            escape(s.note),
        )
    return table


class PlainLines:
    """One line whenever a run changes its state, and every quarter of the way."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._shown: dict[str, tuple] = {}

    def __call__(self, statuses: list[Status]) -> None:
        for s in statuses:
            quarter = 4 * s.step // s.steps if s.steps and s.state == State.RUNNING else 0
            note = s.note.partition(":")[0]
            run = s.run or s.label
            if self._shown.get(run) == (s.state, quarter, note):
                continue
            self._shown[run] = (s.state, quarter, note)
            self.console.print(
                f"{time.strftime('%H:%M:%S')} {plain_line(s)}", highlight=False, soft_wrap=True, markup=False
            )


def plain_line(s: Status) -> str:
    parts = [s.label, s.state]
    if s.steps and s.step:
        parts.append(f"step {s.step}/{s.steps}")
    if s.reward is not None and s.steps:
        parts.append(f"reward {s.reward:.3f}")
    if s.accuracy is not None:
        parts.append(f"accuracy {s.accuracy:.3f}")
    if s.state == State.RUNNING and s.tokens_per_second:
        parts.append(f"{s.tokens_per_second:.0f} tokens/s")
    if s.seconds_left is not None:
        parts.append(f"{_duration(s.seconds_left)} left")
    if s.note:
        parts.append(f"({s.note})")
    return "  ".join(parts)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
