"""Combine statistics: of an update over its micro-batches and processes, and of a rollout over its updates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
import torch.distributed as dist

from sweep.grpo.loss import Statistics


class UpdateStatistics:
    """Running totals of one update on this process."""

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._maxima: dict[str, torch.Tensor] = {}  # minima too, negated

    def add(self, loss: torch.Tensor, statistics: Statistics) -> None:
        """Add a micro-batch."""
        for name, value in {"loss": loss.detach(), **statistics.means}.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        for name, value in {**statistics.maxima, **{k: -v for k, v in statistics.minima.items()}}.items():
            self._maxima[name] = torch.maximum(self._maxima[name], value) if name in self._maxima else value

    def over_processes(self) -> dict[str, float]:
        """Return the statistics of the whole update, the same on every process; every process calls this."""
        sums, maxima = torch.stack(list(self._sums.values())), torch.stack(list(self._maxima.values()))
        dist.all_reduce(sums)
        dist.all_reduce(maxima, dist.ReduceOp.MAX)
        extremes = dict(zip(self._maxima, maxima.tolist(), strict=True))
        return {
            **dict(zip(self._sums, sums.tolist(), strict=True)),
            **{name: -value if name.endswith("_min") else value for name, value in extremes.items()},
        }


def over_updates(updates: Sequence[dict[str, float]]) -> dict[str, float]:
    """Combine the statistics of updates: extremes of `..._min` and `..._max`, means of the others."""
    values: dict[str, list[float]] = defaultdict(list)
    for update in updates:
        for name, value in update.items():
            values[name].append(value)
    return {name: _combined(name, v) for name, v in values.items()}


def _combined(name: str, values: list[float]) -> float:
    if name.endswith("_min"):
        return min(values)
    return max(values) if name.endswith("_max") else sum(values) / len(values)
