"""Read the rows that trainings write, one JSON object with its `step` on each line: all rows, the last one, or the
values of some metrics by step.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sweep.run.growing import GrowingRows, row_of

Series = dict[int, Any]  # a value by step
LISTED = 6  # most steps listed in a message; otherwise only the first ones and the last one are named
BLOCK = 1 << 16  # bytes read at once from the end of a file


class SeriesReader:
    """Reads some metrics of one run, again and again while it is written."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        """Prepare to read the metrics `names` of the file `path`."""
        self._rows, self._names = GrowingRows(path, self._forget), tuple(names)
        self._forget()

    def _forget(self) -> None:
        self._found: dict[str, Series] = {name: {} for name in self._names}

    def read(self) -> dict[str, Series]:
        """Return by name the values of every complete row so far; rows without a value are left out.

        A run that resumes replaces its file by one without the steps that it makes again; the new file is read from the
        start.

        Raises:
            DamagedFile: a line is not a row, because a disk or another program damaged the file.
        """
        for row in self._rows.new():
            for name in self._names:
                if (value := row.get(name)) is not None:
                    self._found[name][row["step"]] = value
        return self._found


def last_row(path: Path) -> dict:
    """Return the last complete row of a file without reading the others; {} if there is none.

    Raises:
        DamagedFile: the last line is not a row.
    """
    try:
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            tail = b""
            while end > 0 and tail.count(b"\n") < 2:  # until the tail has the end of the row before, and its own
                begin = max(0, end - BLOCK)
                file.seek(begin)
                tail, end = file.read(end - begin) + tail, begin
    except FileNotFoundError:
        return {}
    complete = tail.split(b"\n")[:-1]
    return row_of(complete[-1], f"{path}, its last line") if complete else {}


def read_rows(path: Path) -> Iterator[dict]:
    """Yield the complete rows of a file. A last line that is being written, or was cut short, is left out.

    Raises:
        DamagedFile: a line is not a row.
    """
    yield from GrowingRows(path).new()


def read_series(path: Path, names: Sequence[str]) -> dict[str, Series]:
    """Return the metrics `names` of a run's `metrics.jsonl`: by name, the values by step."""
    return SeriesReader(path, names).read()


def listed(steps: Iterable[int]) -> str:
    """Return a short text that lists the steps."""
    found = sorted(steps)
    return ", ".join(map(str, found if len(found) <= LISTED else [*found[:3], "…", found[-1]]))
