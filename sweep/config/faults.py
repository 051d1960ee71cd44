"""Messages about several cells: a fault is reported once, with the cells that have it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from sweep.config.cell import CellConfig

NAMED = 3  # cells at most that a message names; of more it gives the number


class Labelled(Protocol):
    """A configuration, and the label of the cell or stage that has it."""

    @property
    def label(self) -> str:
        """The label that messages show."""

    @property
    def config(self) -> CellConfig:
        """The configuration that is checked."""


def say_once(found: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each distinct fault among (cell, fault) pairs, in their order: its cells, then the fault."""
    cells: dict[str, list[str]] = {}
    for cell, fault in found:
        cells.setdefault(fault, []).append(cell)
    return [f"{_some(list(dict.fromkeys(labels)))}: {fault}" for fault, labels in cells.items()]


def _some(labels: list[str]) -> str:
    if len(labels) <= NAMED:
        return "; ".join(labels)
    return f"{'; '.join(labels[: NAMED - 1])} and {len(labels) - NAMED + 1} more cells"


def plural(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 cell" or "1,000 cells"."""
    return f"{number:,} {noun}" + "s" * (number != 1)
