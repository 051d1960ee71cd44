"""Errors that a person can mend, and what no message may show."""

from __future__ import annotations

import re

HIDDEN = "…"  # stands in messages and records where a value of `cluster.env` would
_SHOWN = rf'"?{HIDDEN}|\{{\w+:"{HIDDEN}"(,\w+:"{HIDDEN}")*\}}'  # what a message shows in a value's place
_KEY = r"(\bcluster\.env(?:\.[^\s=:.]+)*|\bcluster(?==\{))"  # or the whole section as a mapping
_VALUE = re.compile(rf"{_KEY}=(?!{_SHOWN}).*", re.S)


def without_secrets(text: str) -> str:
    """`text` up to the first value that it gives `cluster.env`, which may hold a token; names of variables stay.

    Where such a value ends cannot be told, so that all that follows it is left out.
    """
    return _VALUE.sub(rf"\1={HIDDEN}", text)


class UserError(Exception):
    """Bad input: shown as its message alone, exit code 2. Say what, where (cell, key, file), what to do."""

    def __init__(self, message: str) -> None:
        super().__init__("\n".join(map(without_secrets, message.split("\n"))))


class DamagedFile(UserError, ValueError):
    """A file that this project wrote does not hold what was written; the message begins with the file."""
