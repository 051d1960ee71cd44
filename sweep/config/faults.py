"""Say what is wrong once, however many cells it is wrong with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from sweep.config.cell import CellConfig

NAMED = 3  # cells of one fault; of more than these their number is said


class Labelled(Protocol):
    """A configuration and what the cell or stage that has it is called."""

    @property
    def label(self) -> str: ...

    @property
    def config(self) -> CellConfig: ...


def say_once(found: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each fault among (cell, fault) pairs, in their order: the cells it has, then the fault."""
    cells: dict[str, list[str]] = {}
    for cell, fault in found:
        cells.setdefault(fault, []).append(cell)
    return [f"{_some(list(dict.fromkeys(labels)))}: {fault}" for fault, labels in cells.items()]


def _some(labels: list[str]) -> str:
    if len(labels) <= NAMED:
        return "; ".join(labels)
    return f"{'; '.join(labels[: NAMED - 1])} and {len(labels) - NAMED + 1} more cells"


def counted(number: int, noun: str) -> str:
    """A number of things, in words."""
    return f"{number:,} {noun}" + "s" * (number != 1)
