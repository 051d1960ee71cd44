"""Numbers of `metrics.jsonl` over the steps of a run, read once and then only as far as the file has grown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic_core import from_json  # four times as fast as json, which would take most of the time of a large sweep

from sweep.run.growing import GrowingRows

Series = dict[int, Any]  # a value by step
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
        """
        for row in self._rows.new():
            for name in self._names:
                if (value := row.get(name)) is not None:
                    self._found[name][row["step"]] = value
        return self._found


def last_row(path: Path) -> dict:
    """The last complete row of a file of rows, without reading the others; {} where there is none."""
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
    return from_json(complete[-1]) if complete else {}


def read_series(path: Path, names: Sequence[str]) -> dict[str, Series]:
    """The metrics `names` of a run's `metrics.jsonl`: by name, the values by step."""
    return SeriesReader(path, names).read()
