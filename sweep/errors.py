"""Errors caused by invalid input, and the removal of secrets from messages."""

from __future__ import annotations

import re

HIDDEN = "…"  # replaces values of `cluster.env` in messages and records
_SHOWN = rf'"?{HIDDEN}|\{{\w+:"{HIDDEN}"(,\w+:"{HIDDEN}")*\}}'  # values that are hidden already
_KEY = r"(\bcluster\.env(?:\.[^\s=:.]+)*|\bcluster(?==\{))"  # or the whole section as a mapping
_VALUE = re.compile(rf"{_KEY}=(?!{_SHOWN}).*", re.S)


def without_secrets(text: str) -> str:
    """Return `text` up to the first value of `cluster.env`, which may be a token. Names of variables stay.

    Everything after such a value is dropped as well, because its end cannot be recognised.
    """
    return _VALUE.sub(rf"\1={HIDDEN}", text)


class UserError(Exception):
    """Invalid input: the message is shown without a traceback, and the exit code is 2.

    A message says what is wrong, where (cell, key, file), and what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__("\n".join(map(without_secrets, message.split("\n"))))


class DamagedFile(UserError, ValueError):
    """A file that this project wrote does not hold what was written. The message begins with the file."""


class UnknownRecord(DamagedFile):
    """A file holds a record of other keys than this version knows: a later version wrote it, or it is damaged."""
