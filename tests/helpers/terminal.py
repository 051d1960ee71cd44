"""A terminal as a program finds it (a pseudo-terminal that it controls), and what a person sees on it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from helpers.constants import ROOT

SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Screen:
    """Draws what a program writes: text, new lines, and the few sequences that this project uses; refuses others."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.alternate, self.cursor_shown, self.widest, self.lowest = False, True, 0, 0
        self.main: list[str] = [""]  # all that was written outside the alternate screen
        self.rows: dict[int, str] = {}
        self.coloured = False
        self._row = self._column = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        text = self._rest + text
        cut = text.rfind("\x1b")
        if cut >= 0 and not SEQUENCE.match(text, cut):
            text, self._rest = text[:cut], text[cut:]
        else:
            self._rest = ""
        place = 0
        while place < len(text):
            if text[place] == "\x1b":
                found = SEQUENCE.match(text, place)
                self._obey(*found.groups())
                place = found.end()
            else:
                self._put(text[place])
                place += 1

    def _obey(self, private: str, numbers: str, letter: str) -> None:
        if private:
            assert letter in "hl", letter
            if numbers == "1049":
                self.alternate, self.rows = letter == "h", {}
            else:
                assert numbers == "25", numbers
                self.cursor_shown = letter == "h"
        elif letter == "m":
            self.coloured = self.coloured or any(n.startswith(("3", "9")) and len(n) == 2 for n in numbers.split(";"))
        elif letter == "H":
            assert not numbers
            self._row = self._column = 0
        else:
            assert (letter, numbers) == ("K", "2"), (letter, numbers)
            self.rows[self._row] = ""

    def _put(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._row += 1
            self.lowest = max(self.lowest, self._row + 1) if self.alternate else self.lowest
            self.main += [] if self.alternate else [""]
        else:
            assert character.isprintable() or character == "\t", repr(character)
            if self.alternate:
                self.rows[self._row] = self.rows.get(self._row, "") + character
                self._column += 1
                self.widest = max(self.widest, self._column)
            else:
                self.main[-1] += character

    @property
    def text(self) -> str:
        return "\n".join(self.rows[row].rstrip() for row in sorted(self.rows))


class Terminal:
    """Runs a program in a pseudo-terminal of its own session."""

    def __init__(self, *command: str, columns: int = 80, lines: int = 24, stdin=None, **environment: str) -> None:
        self.screen = Screen(columns, lines)
        self.raw = ""
        self._master, side = pty.openpty()
        self.side = side  # kept open, so that its settings can be read at the end
        self.resize(columns, lines)
        self.settings = termios.tcgetattr(side)

        def session() -> None:
            os.setsid()
            fcntl.ioctl(side, termios.TIOCSCTTY, 0)

        kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES", "LC_ALL", "COLORTERM")}
        kept |= {"TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT), **environment}
        streams = {"stdin": side if stdin is None else stdin, "stdout": side, "stderr": side}
        self.process = subprocess.Popen(command, env=kept, preexec_fn=session, **streams)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.columns, self.screen.lines, self.screen.rows = columns, lines, {}
        self.screen.widest = self.screen.lowest = 0

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def read(self, seconds: float = 0.05) -> None:
        """Take what the program writes within this time."""
        deadline = time.monotonic() + seconds
        while select.select([self._master], [], [], max(0, deadline - time.monotonic()))[0]:
            text = os.read(self._master, 65536).decode(errors="replace")
            self.raw += text
            self.screen.feed(text)

    def until(self, holds, seconds: float = 60) -> Screen:
        """Read until `holds(screen)`."""
        deadline = time.monotonic() + seconds
        while not holds(self.screen):
            assert time.monotonic() < deadline, f"{self.screen.text}\n----\n" + "\n".join(self.screen.main)
            self.read()
        return self.screen

    def end(self, number: int | None = None, seconds: float = 60) -> int:
        """Send the signal, if any, to the program; returns its exit code once it has ended and all was read."""
        if number is not None:
            self.process.send_signal(number)
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.screen.text
            self.read()
        self.read()
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._master)
        os.close(self.side)
