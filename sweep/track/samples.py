"""The table of sampled answers that is sent with the row of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from sweep.run.growing import GrowingRows

COLUMNS = ("step", "problem", "question", "gold", "response", "answer", "reward", "correct", "outcome", "tokens")
MOST_ROWS, MOST_CHARACTERS = 32, 2000  # limits of a table and of a text in it
MOST_TABLES = 4  # in a run: each after the first takes W&B's client 0.1 s, a hundred times as long as a row


def has_table(step: int, steps: int, every: int) -> bool:
    """Return True if the evaluation at `step` is one of the MOST_TABLES that are spread over the run, the last one
    included.

    Args:
        steps: the number of steps of the whole training.
        every: the number of steps between two evaluations; there is also one after the last step.
    """
    number, evaluations = math.ceil(step / every), math.ceil(steps / every)
    return evaluations <= MOST_TABLES or (
        number * MOST_TABLES // evaluations > (number - 1) * MOST_TABLES // evaluations
    )


class SampledAnswers:
    """Reads samples.jsonl step by step; keeps the answers of one step only."""

    def __init__(self, path: Path) -> None:
        self._file = GrowingRows(path)
        self._rows: Iterator[dict] = iter(())
        self._next: dict | None = None
        self._latest: list[dict] = []

    def until(self, step: int) -> list[list]:
        """Return the latest answers up to `step`, one list for each, in the order of COLUMNS. Calls must have growing
        steps.
        """
        while (row := self._next or self._read()) is not None and row["step"] <= step:
            self._next = None
            if self._latest and self._latest[0]["step"] != row["step"]:
                self._latest = []
            if len(self._latest) < MOST_ROWS:
                self._latest.append(row)
        self._next = row
        return [[_cell(row.get(column)) for column in COLUMNS] for row in self._latest]

    def _read(self) -> dict | None:
        row = next(self._rows, None)
        if row is None:  # the file may have grown
            self._rows = self._file.new()
            row = next(self._rows, None)
        return row


def _cell(value: object) -> object:
    """Return a cell of the table with long texts cut."""
    if isinstance(value, str) and len(value) > MOST_CHARACTERS:
        return f"{value[:MOST_CHARACTERS]} […{len(value) - MOST_CHARACTERS} characters left out]"
    return value
