"""metrics.jsonl: a row a step, each step once, whatever interrupted the run."""

from __future__ import annotations

import json
from pathlib import Path

from sweep.run.files import finite, write_text
from sweep.run.series import read_rows


class RowLog:
    """An append-only JSON-lines file whose rows carry a `step`; flushed row by row."""

    def __init__(self, path: Path, resume_after: int) -> None:
        """Open for appending; rows of steps after `resume_after`, which will run again, are dropped."""
        if path.exists():
            kept = [row for row in read_rows(path) if row["step"] <= resume_after]
            write_text(path, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = open(path, "a")  # noqa: SIM115  open for the length of the run

    def write(self, row: dict) -> None:
        """Append a row; NaN and infinities become null."""
        self._file.write(json.dumps(finite(row)) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()
