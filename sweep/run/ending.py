"""Find out how a process ended, from standard error and Slurm: its signal or its error, never a progress bar."""

from __future__ import annotations

import re
import signal
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

TAIL_BYTES = 16_000
LONGEST = 300
SIGNALS = {signal.strsignal(number): int(number) for number in signal.Signals}
OF_SRUN = re.compile(r"srun: error: .*\btasks? [\d,-]+: (?P<how>.+?)(?: \(core dumped\))?")
PROGRESS = re.compile(r"\d%\||\b\d+%\s*$|\d\s?(it|[kMG]?i?B)/s|\ds/it")
NOISE = re.compile(r"srun: |slurmstepd: |asked to stop by |no time left for this step|.*warn|.*\bINFO\b", re.I)
EXCEPTION = re.compile(r"(\[rank\d+\]:\s*)?([\w]+\.)*\w*(Error|Exception|Interrupt|Exit)\b")
ERROR = re.compile(r"error|fatal|abort|cannot|can't|fail|not found|no such|denied|refused|killed|illegal|invalid", re.I)


def killed_by(number: int) -> str:
    """Return the text for a process that the signal `number` ended."""
    guess = "out of memory?" if number == signal.SIGKILL else signal.strsignal(number)
    return f"killed by signal {number} ({guess})"


def last_words(files: Iterable[Path], code: str = "") -> str:
    """Return in one line why a job ended: the signal that killed it, and the last error that its processes wrote.

    Args:
        files: the processes' standard error.
        code: "CODE:SIGNAL", as Slurm's accounting writes how a job ended; "" if unknown.
    Returns:
        "" if nothing shows it.
    """
    return ending([line for file in files for line in _tail(file)], code)


def ending(lines: Sequence[str], code: str = "") -> str:
    """Return `last_words` from the lines themselves."""
    number = _signal(lines, code)
    written = [line for line in lines if not (NOISE.match(line) or PROGRESS.search(line))]
    errors = [line for line in lines if EXCEPTION.match(line)] or [line for line in written if ERROR.search(line)]
    said = errors or ([] if number else written)
    parts = ([killed_by(number)] if number else []) + said[-1:]
    return textwrap.shorten(": ".join(parts), LONGEST, placeholder=" …")


def _signal(lines: Sequence[str], code: str) -> int | None:
    """Return the signal that ended the first process; the others were ended because of it."""
    for line in lines:
        if of_srun := OF_SRUN.fullmatch(line):
            return SIGNALS.get(of_srun.group("how"))
    exit_code, _, number = code.partition(":")
    if number and int(number):
        return int(number)
    of_shell = int(exit_code or 0) - 128  # a shell exits with 128 + signal if a signal ended its last command
    return of_shell if of_shell in SIGNALS.values() else None


def _tail(file: Path) -> list[str]:
    """Return the last lines of a file without blank ones. Each update of a progress bar counts as a line."""
    with open(file, "rb") as handle:
        handle.seek(max(0, file.stat().st_size - TAIL_BYTES))
        text = handle.read().decode(errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]
