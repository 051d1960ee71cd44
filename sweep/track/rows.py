"""Rows of metrics.jsonl against what the server has of them: those after its last step are sent, in their order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

MEASURED = ("timing_s/", "perf/", "memory_gb/")  # columns in which a step that is made again differs anyhow


def told(row: dict[str, Any]) -> dict[str, Any]:
    """The columns that W&B is sent: one null, or a number that is not finite, would spoil its summaries."""
    return {key: value for key, value in row.items() if value is not None}


def came_out_otherwise(row: dict[str, Any], there: dict[str, Any]) -> bool:
    """Whether a step of metrics.jsonl is another than the server's, in more than what is measured of the machine."""
    return any(there.get(key) != value for key, value in told(row).items() if not key.startswith(MEASURED))


class Feed:
    """Takes the rows of a training one by one.

    sent: how many were new to the server. missing: steps before its last one that it lacks; it takes none of these any
    more. otherwise: steps that it has from before training went back, and that came out otherwise since.
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
        """Steps that the server has and that no row taken so far is of."""
        return sorted(self._unmatched)

    @property
    def digest(self) -> str:
        """Of all rows taken so far."""
        return self._digest.hexdigest()

    @property
    def on_server(self) -> int:
        """The rows that the server should have now."""
        return len(self._there) + self.sent
