"""The rows that trainings write, one JSON object a line with its `step`: all of them, the last one, or the numbers of
some metrics over the steps, which are read once and then only as far as the file has grown."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pydantic_core import from_json  # four times as fast as json, which would take most of the time of a large sweep

from sweep.errors import DamagedFile

Series = dict[int, Any]  # a value by step
LISTED = 6  # steps in a message; of more the first ones and the last one are named
BLOCK = 1 << 16  # bytes that are read at once from the end of a file


class SeriesReader:
    """Reads some metrics of one run, again and again while it is written."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        """`names`: of the metrics, as the rows have them."""
        self._path, self._names = path, tuple(names)
        self._forget()

    def _forget(self) -> None:
        self._file: tuple[int, int] | None = None  # device and inode
        self._read = self._rows = 0  # bytes, lines
        self._found: dict[str, Series] = {name: {} for name in self._names}

    def read(self) -> dict[str, Series]:
        """By name, the values of every complete row so far; rows without a value of it are left out.

        A run that resumes replaces its file by one without the steps that it makes again: that is read from its start.

        Raises:
            DamagedFile: a line is no row, as where a disk or another program damaged the file.
        """
        try:
            with open(self._path, "rb") as file:
                self._read_on(file)
        except FileNotFoundError:
            self._forget()
        return self._found

    def _read_on(self, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        identity = status.st_dev, status.st_ino
        if identity != self._file or status.st_size < self._read:
            self._forget()
            self._file = identity
        file.seek(self._read)
        for line in file:
            if not line.endswith(b"\n"):  # it is being written
                break
            row = row_of(line, f"{self._path}, line {self._rows + 1}")
            self._read, self._rows = self._read + len(line), self._rows + 1
            for name in self._names:
                if (value := row.get(name)) is not None:
                    self._found[name][row["step"]] = value


def last_row(path: Path) -> dict:
    """The last complete row of a file of rows, without reading the others; {} where there is none.

    Raises:
        DamagedFile: the last line is no row.
    """
    try:
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            tail = b""
            while end > 0 and tail.count(b"\n") < 2:  # the end of the row before it, and its own
                begin = max(0, end - BLOCK)
                file.seek(begin)
                tail, end = file.read(end - begin) + tail, begin
    except FileNotFoundError:
        return {}
    complete = tail.split(b"\n")[:-1]
    return row_of(complete[-1], f"{path}, its last line") if complete else {}


def read_rows(path: Path) -> Iterator[dict]:
    """The complete rows of a file, one by one; a last line that is being written, or was cut short, is left out.

    Raises:
        DamagedFile: a line is no row.
    """
    if not path.exists():
        return
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n"):
                yield row_of(line, f"{path}, line {number}")


def row_of(line: bytes, place: str) -> dict:
    """The row of a step that stands in a line.

    Raises:
        DamagedFile: none does; the message begins with `place`.
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
    """What the line says. Half a surrogate pair, which a question may hold, is taken by json alone."""
    try:
        return from_json(line)
    except ValueError:
        return json.loads(line)


def read_series(path: Path, names: Sequence[str]) -> dict[str, Series]:
    """The metrics `names` of a run's `metrics.jsonl`: by name, the values by step."""
    return SeriesReader(path, names).read()


def listed(steps: Iterable[int]) -> str:
    """Which steps there are, in a few words."""
    found = sorted(steps)
    return ", ".join(map(str, found if len(found) <= LISTED else [*found[:3], "…", found[-1]]))
