"""The rows that trainings write, one JSON object a line with its `step`: all of them, the last one, or the numbers of
some metrics over the steps, which are read once and then only as far as the file has grown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sweep.run.growing import GrowingRows, row_of

Series = dict[int, Any]  # a value by step
LISTED = 6  # steps in a message; of more the first ones and the last one are named
BLOCK = 1 << 16  # bytes that are read at once from the end of a file


class SeriesReader:
    """Reads some metrics of one run, again and again while it is written."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        """`names`: of the metrics, as the rows have them."""
        self._rows, self._names = GrowingRows(path, self._forget), tuple(names)
        self._forget()

    def _forget(self) -> None:
        self._found: dict[str, Series] = {name: {} for name in self._names}

    def read(self) -> dict[str, Series]:
        """By name, the values of every complete row so far; rows without a value of it are left out.

        A run that resumes replaces its file by one without the steps that it makes again: that is read from its start.

        Raises:
            DamagedFile: a line is no row, as where a disk or another program damaged the file.
        """
        for row in self._rows.new():
            for name in self._names:
                if (value := row.get(name)) is not None:
                    self._found[name][row["step"]] = value
        return self._found


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
    yield from GrowingRows(path).new()


def read_series(path: Path, names: Sequence[str]) -> dict[str, Series]:
    """The metrics `names` of a run's `metrics.jsonl`: by name, the values by step."""
    return SeriesReader(path, names).read()


def listed(steps: Iterable[int]) -> str:
    """Which steps there are, in a few words."""
    found = sorted(steps)
    return ", ".join(map(str, found if len(found) <= LISTED else [*found[:3], "…", found[-1]]))
