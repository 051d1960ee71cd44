"""The live view of a sweep: pages of runs in a terminal, plain lines elsewhere. Launches and `watch` use it."""

from __future__ import annotations

import math
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sweep.config.local import default_output_dir
from sweep.dispatch import keys
from sweep.dispatch.frame import Frame, Hints, Surface, frame, whole
from sweep.dispatch.keys import Keyboard
from sweep.dispatch.plain import PlainLines
from sweep.dispatch.series import Curves, directories
from sweep.plan.view import LARGEST_TABLE
from sweep.program import program
from sweep.run.ledger import Sweep
from sweep.run.outlook import outlook
from sweep.run.status import Status
from sweep.shown import encoding_of

TURN_SECONDS = 10.0  # for which a page is shown where there are no keys to turn it
LOOK_SECONDS = 0.25  # between two looks at the size of the terminal, and between two drawings at least
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # a screen of its own without a cursor, and back
HOME, CLEAR_LINE, NEXT_LINE = "\x1b[H", "\x1b[0m\x1b[2K", "\r\n"


def suggested(command: str, root: Path) -> str:
    """Return a command of this project, in backquotes, as one types it for the output directory `root`."""
    place = "" if root == default_output_dir() else f" --output-dir {shlex.quote(str(root))}"
    return f"`{program()} {command}{place}`"


def console() -> Console:
    """Return a console on standard output, wide enough for the tables if it is not a terminal."""
    return Console() if sys.stdout.isatty() else Console(width=140)


def surface_of(screen: Console) -> Surface:
    """Return the current size and the encoding of the terminal."""
    columns, lines = shutil.get_terminal_size()
    return Surface(columns, lines, encoding_of(screen.encoding, os.environ))


def print_all(sweep: Sweep, statuses: list[Status], screen: Console, left: str = "", warning: str = "") -> None:
    """Print every given run with its whole note, as lines that stay.

    left: how long they will still take. warning: why the statuses may be old.
    """
    lines = whole(sweep.name, statuses, surface_of(screen), Curves(directories(sweep)), left, warning)
    for line in lines:
        _print(screen, line)


@contextmanager
def live_view(sweep: Sweep, screen: Console, can_leave: bool = False) -> Iterator[LiveView | PlainLines]:
    """Open the view of the sweep: call its `show` with statuses, and its `pause` to wait.

    In a terminal, all of the sweep as it was last shown stays there at the end, however the block ends.

    Args:
        can_leave: whether the key q ends the view; `pause` then returns False.
    """
    if not (screen.is_terminal and _can_be_drawn_on(screen)):
        yield PlainLines(screen)
        return
    view = LiveView(sweep, screen, can_leave)
    with _handled(signal.SIGTSTP, view.suspend), _handled(signal.SIGTERM, _end):
        try:
            yield view
        finally:
            view.close()


class LiveView:
    """Draws pages on the alternate screen of a terminal, which leaves what was shown before as it is."""

    def __init__(self, sweep: Sweep, screen: Console, can_leave: bool) -> None:
        self._sweep, self._screen, self._can_leave = sweep, screen, can_leave
        self._curves = Curves(directories(sweep))
        self._keyboard = Keyboard()
        self._entered, self._page, self._turned = False, 0, time.monotonic()
        self._shown = -math.inf
        self._statuses: list[Status] = []
        self._warning, self._clock = "", ""
        self._frame: Frame | None = None
        self._drawn: tuple[int, Surface] | None = None

    def show(self, statuses: list[Status], warning: str = "") -> None:
        """Draw the statuses, unless the last drawing was a moment ago: a short queue calls this 25 times a second.

        `warning`: why the statuses may be old.
        """
        self._statuses, self._warning, self._clock = statuses, warning, time.strftime("%H:%M:%S")
        now = time.monotonic()
        if now - self._shown >= LOOK_SECONDS:
            self._shown = now
            self._draw()

    def pause(self, seconds: float) -> bool:
        """Wait, and draw again if a page is turned or the terminal is resized. Return False on a request to leave."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            pressed = list(self._keyboard.wait(min(left, LOOK_SECONDS)))
            if keys.QUIT in pressed and self._can_leave:
                return False
            for key in pressed:
                self._turn(key)
            self._turn_by_itself()
            if not self._entered or self._drawn != (self._page, surface_of(self._screen)):
                self._draw()
        return True

    def suspend(self, *_: object) -> None:
        """Restore the terminal and stop, on Ctrl-Z. When the process continues, the next drawing takes it again."""
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)

    def close(self) -> None:
        """Restore the terminal, and leave all of the sweep there, or its first page if it is very long."""
        shown_any = self._entered or self._frame is not None
        self._give_back()
        if not shown_any:
            return
        with suppress(OSError):  # the terminal is gone
            if len(self._statuses) <= LARGEST_TABLE:
                print_all(self._sweep, self._statuses, self._screen, self._left(), self._warning)
                return
            first = self._page_of(0, surface_of(self._screen)).lines[:-1]
            for line in [*first, Text(f"{suggested(f'status {self._sweep.name}', self._sweep.root)} lists every run")]:
                _print(self._screen, line)

    def _turn(self, key: str) -> None:
        pages = self._frame.pages if self._frame else 1
        places = {keys.NEXT: self._page + 1, keys.PREVIOUS: self._page - 1, keys.FIRST: 0, keys.LAST: pages - 1}
        self._page = places.get(key, self._page) % pages

    def _turn_by_itself(self) -> None:
        if not self._keyboard.there and time.monotonic() - self._turned > TURN_SECONDS:
            self._turned = time.monotonic()
            self._turn(keys.NEXT)

    def _draw(self) -> None:
        if not _in_foreground():  # it was stopped and continues in the background: another process has the terminal
            return
        if not self._entered:
            self._keyboard.listen()
            self._write(ENTER)
            self._entered = True
        surface = surface_of(self._screen)
        self._frame = self._page_of(self._page, surface)
        self._page = self._frame.page
        self._drawn = self._page, surface
        # A line is cleared before it is written: behind a full line, clearing would take its last character.
        self._write(HOME + NEXT_LINE.join(CLEAR_LINE + self._rendered(line) for line in self._frame.lines))

    def _rendered(self, line: Text) -> str:
        with self._screen.capture() as captured:
            self._screen.print(line, end="", soft_wrap=True)
        return captured.get()

    def _page_of(self, page: int, surface: Surface) -> Frame:
        end = "q: leave" if self._can_leave else "Ctrl-C: stop the runs, twice: leave them to it"
        if self._keyboard.there:
            hints = Hints("n, space: next   p: previous", end)
        else:
            hints = Hints(f"turns every {TURN_SECONDS:.0f} s", "Ctrl-C: leave" if self._can_leave else end)
        of_sweep = (self._sweep.name, self._statuses, surface, self._curves)
        return frame(*of_sweep, page, hints, self._left(), self._clock, self._warning)

    def _left(self) -> str:
        return outlook(self._statuses).words() or "every run has ended"

    def _give_back(self) -> None:
        if self._entered:
            self._entered = False
            with suppress(OSError):  # the terminal is gone
                self._write(LEAVE)
        self._keyboard.leave()

    def _write(self, text: str) -> None:
        """Write past Python's buffers, because they refuse a signal handler that writes during another write."""
        self._screen.file.flush()
        left = text.encode(self._screen.encoding, "backslashreplace")
        while left:
            left = left[os.write(self._screen.file.fileno(), left) :]


def _print(screen: Console, line: Text) -> None:
    screen.print(line, soft_wrap=True)


def _can_be_drawn_on(screen: Console) -> bool:
    """Return whether the console is a terminal that understands control sequences.

    rich's answer alone is not enough: settings may make it take a pipe for a terminal.
    """
    return sys.stdout.isatty() and bool(os.environ.get("TERM")) and not screen.is_dumb_terminal and _in_foreground()


def _in_foreground() -> bool:
    """Return whether this process may draw on the terminal and set it: a shell may have put it in the background."""
    try:
        return os.tcgetpgrp(sys.stdout.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # a terminal that controls no processes
        return True


def _end(number: int, _: object) -> None:
    raise SystemExit(128 + number)


@contextmanager
def _handled(number: int, handler: Callable[..., object]) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
