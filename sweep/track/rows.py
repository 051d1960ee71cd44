"""Compare the rows of metrics.jsonl with the server's, and send those after the server's last step, in order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

MEASURED = ("timing_s/", "perf/", "memory_gb/")  # measurements, which always differ when a step runs again


def told(row: dict[str, Any]) -> dict[str, Any]:
    """Return the columns to send. Nulls are left out, because a single one would spoil W&B's summaries."""
    return {key: value for key, value in row.items() if value is not None}


def came_out_otherwise(row: dict[str, Any], there: dict[str, Any]) -> bool:
    """Return True if a step of metrics.jsonl differs from the server's in more than measurements of the machine."""
    return any(there.get(key) != value for key, value in told(row).items() if not key.startswith(MEASURED))


class Feed:
    """Takes the rows of a training one by one.

    sent: the number of rows that were new to the server. missing: steps before the server's last one that it lacks; W&B
    refuses these now. otherwise: steps that the server has from before training went back to a checkpoint, and that
    gave other values when they ran again.
    """

    def __init__(self, there: dict[int, dict], send: Callable[[dict], object], taken_to: int = 0) -> None:
        """
        Args:
            there: the server's rows, by step.
            send: is called with each row after the server's last.
            taken_to: a step up to which the server takes no rows, whether it has one of that step or not.
        """
        self._there, self._send = there, send
        self._after = max(taken_to, *there, 0)
        self._unmatched = set(there)
        self._digest = hashlib.sha256()
        self.sent = self.taken = 0
        self.missing: list[int] = []
        self.otherwise: list[int] = []

    def take(self, row: dict[str, Any]) -> None:
        """Take the next row: send it if it is after the server's last step, else compare it."""
        step = row["step"]
        self.taken += 1
        self._digest.update(json.dumps(row, sort_keys=True).encode())
        if step > self._after:
            self._send(row)
            self.sent += 1
        elif step not in self._there:
            self.missing.append(step)
        else:
            self._unmatched.discard(step)
            if came_out_otherwise(row, self._there[step]):
                self.otherwise.append(step)

    @property
    def surplus(self) -> list[int]:
        """The steps that the server has and that no row so far has."""
        return sorted(self._unmatched)

    @property
    def digest(self) -> str:
        """A hash of all rows so far."""
        return self._digest.hexdigest()

    @property
    def on_server(self) -> int:
        """The number of rows that the server should have now."""
        return len(self._there) + self.sent
