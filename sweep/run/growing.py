"""Read the rows of a JSON-lines file while it is being written. Each row is read once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic_core import from_json  # four times as fast as json; for a large sweep parsing takes most of the time

from sweep.errors import DamagedFile


class GrowingRows:
    """Reads the complete rows of one file, again and again while it is written."""

    def __init__(self, path: Path, forget: Callable[[], None] = lambda: None) -> None:
        """Prepare to read `path`. If the file is replaced or gone, `forget` is called and reading starts from the
        beginning.
        """
        self._path, self._forget = path, forget
        self._file: tuple[int, int] | None = None  # device and inode
        self._read = self._lines = 0  # how much of it, in bytes and in lines

    def new(self) -> Iterator[dict]:
        """Yield the complete rows that were not yielded before, one at a time, so that a large file needs little
        memory.

        Raises:
            DamagedFile: a line is not a row, because a disk or another program damaged the file.
        """
        try:
            file = open(self._path, "rb")  # noqa: SIM115 (closed below)
        except FileNotFoundError:
            self._start_again(None)
            return
        with file:
            status = os.fstat(file.fileno())
            identity = status.st_dev, status.st_ino
            if identity != self._file or status.st_size < self._read:
                self._start_again(identity)
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):  # it is being written
                    return
                row = row_of(line, f"{self._path}, line {self._lines + 1}")
                self._read, self._lines = self._read + len(line), self._lines + 1
                yield row

    def _start_again(self, identity: tuple[int, int] | None) -> None:
        self._file, self._read, self._lines = identity, 0, 0
        self._forget()


def row_of(line: bytes, place: str) -> dict:
    """Return the row in a line.

    Raises:
        DamagedFile: the line is not a row; the message begins with `place`.
    """
    try:
        row = _parsed(line)
        why = "" if isinstance(row, dict) and isinstance(row.get("step"), int) else "it has no step"
    except ValueError as error:
        why = str(error)
    if why:
        raise DamagedFile(
            f"{place}: not a row of a step ({why}), although training wrote one there; take the line out, and what "
            "else the file holds can be read"
        )
    return row


def _parsed(line: bytes) -> Any:
    """Parse a line. Only `json` accepts half of a surrogate pair, which a question may contain."""
    try:
        return from_json(line)
    except ValueError:
        return json.loads(line)
