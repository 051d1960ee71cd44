"""Read single keys from a terminal, without Enter, and restore the terminal's settings afterwards."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator

NEXT, PREVIOUS, FIRST, LAST, QUIT = "next", "previous", "first", "last", "quit"
MEANS = {
    **dict.fromkeys(("n", "j", " ", "\x1b[C", "\x1bOC", "\x1b[B", "\x1bOB", "\x1b[6~"), NEXT),
    **dict.fromkeys(("p", "k", "b", "\x1b[D", "\x1bOD", "\x1b[A", "\x1bOA", "\x1b[5~"), PREVIOUS),
    **dict.fromkeys(("g", "\x1b[H", "\x1bOH", "\x1b[1~"), FIRST),
    **dict.fromkeys(("G", "\x1b[F", "\x1bOF", "\x1b[4~"), LAST),
    **dict.fromkeys(("q", "Q"), QUIT),
}
# What a terminal sends for one key: a control sequence, as arrows are, a character, either with Alt held, or Escape.
ONE_KEY = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1bO.|[^\x1b]|\x1b[^\[O\x1b]|\x1b(?=\x1b)", re.S)
LONGEST_KEY = 16  # characters; an unfinished sequence that is longer is discarded


class Keyboard:
    """The keys that are typed in a terminal. Without a terminal there are none, and no setting is changed."""

    def __init__(self) -> None:
        try:
            self._file = sys.stdin.fileno() if sys.stdin.isatty() else None
        except (AttributeError, ValueError, OSError):  # closed, or none
            self._file = None
        self._settings: list | None = None
        self._typed = ""

    @property
    def there(self) -> bool:
        """True while standard input is a terminal."""
        return self._file is not None

    def listen(self) -> None:
        """Read keys one by one and without echo; Ctrl-C and Ctrl-Z still send their signals."""
        if self._file is not None and self._settings is None:
            self._settings = termios.tcgetattr(self._file)
            tty.setcbreak(self._file)

    def leave(self) -> None:
        """Restore the settings, and discard keys that were not read, so that no shell takes them for a command."""
        if self._file is not None and self._settings is not None:
            with contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._file, termios.TCSAFLUSH, self._settings)
            self._settings = None

    def wait(self, seconds: float) -> Iterator[str]:
        """Yield the meanings of keys: at once if some were typed, none if no key comes within `seconds`."""
        if self._file is None or self._settings is None:
            time.sleep(seconds)
            return
        if not select.select([self._file], [], [], seconds)[0]:
            return
        read = self._read()
        if read is None:
            return
        if not read:
            self.leave()
            self._file = None
            return
        keys, self._typed = split(self._typed + read.decode(errors="replace"))
        yield from (MEANS[key] for key in keys if key in MEANS)

    def _read(self) -> bytes | None:
        """Return what was typed; b"" if the terminal is gone, and None if there is nothing to read.

        Ctrl-Z between the check and the reading would discard what was typed, and the reading would then wait for
        Enter. The signal is therefore held back meanwhile.
        """
        with _held_back(signal.SIGTSTP):
            if self._file is None or not select.select([self._file], [], [], 0)[0]:
                return None
            try:
                return os.read(self._file, 1024)
            except OSError:
                return b""


@contextlib.contextmanager
def _held_back(number: int) -> Iterator[None]:
    """Hold a signal back during the block. A handler of Python's that was due runs before the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def split(typed: str) -> tuple[list[str], str]:
    """Split what was typed into keys, and the beginning of a key whose rest has not come yet."""
    keys = []
    while found := ONE_KEY.match(typed):
        keys.append(found.group())
        typed = typed[found.end() :]
    return keys, typed if len(typed) < LONGEST_KEY else ""
