"""Write metrics.jsonl: one row for each step, and each step once, however often the run was interrupted."""

from __future__ import annotations

import json
from pathlib import Path

from sweep.run.files import finite, write_text
from sweep.run.series import read_rows


class RowLog:
    """An append-only JSON-lines file whose rows have a `step`. Every row is flushed at once."""

    def __init__(self, path: Path, resume_after: int) -> None:
        """Open the file for appending. Rows of steps after `resume_after` are dropped: these steps run again."""
        if path.exists():
            kept = [row for row in read_rows(path) if row["step"] <= resume_after]
            write_text(path, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = open(path, "a")  # noqa: SIM115  open for the length of the run

    def write(self, row: dict) -> None:
        """Append a row; NaN and infinities become null."""
        self._file.write(json.dumps(finite(row)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
