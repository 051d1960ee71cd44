"""Rows of the comparison: cells that differ only in the seed, with their values by seed. Pure: it reads no file."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sweep.compare.results import CellResult

SEED = "seed"


@dataclass(frozen=True)
class Row:
    """Cells that differ only in the seed.

    Values are those of the comparison's metric, by seed, for the cells that have one. If several cells have the same
    seed, the one trained furthest counts, and `repeated` names the seed. `apart` describes the difference from other
    rows with the same axes, if there are any.
    """

    cells: tuple[CellResult, ...]
    apart: str = ""

    @cached_property
    def axes(self) -> dict[str, str]:
        """Every axis but the seed, with the row's value."""
        return {axis: value for axis, value in self.cells[0].axes.items() if axis != SEED}

    @property
    def evaluation(self) -> str | None:
        """The signature of the evaluation that its values come from."""
        return self.cells[0].evaluation

    @property
    def length(self) -> int:
        """The number of steps at which its values were taken; 0 if unknown."""
        return self.cells[0].length

    @property
    def rules(self) -> str:
        """The versions of the rules that it was trained under, as text."""
        rules = self.cells[0].rules
        return "unknown" if rules is None else ", ".join(f"{rule} {number}" for rule, number in rules.items())

    @cached_property
    def by_seed(self) -> dict[int, CellResult]:
        """One cell for each seed, in the order of the seeds."""
        ordered = sorted(self.cells, key=lambda cell: (cell.seed, cell.final is not None, cell.step))
        return {cell.seed: cell for cell in ordered}

    @property
    def repeated(self) -> list[int]:
        """The seeds that several cells have."""
        seeds = [cell.seed for cell in self.cells]
        return sorted({seed for seed in seeds if seeds.count(seed) > 1})

    @cached_property
    def final(self) -> dict[int, float]:
        """The final values, by seed."""
        return {seed: cell.final for seed, cell in self.by_seed.items() if cell.final is not None}

    @cached_property
    def base(self) -> dict[int, float]:
        """The values of the untrained model, by seed."""
        return {seed: cell.base for seed, cell in self.by_seed.items() if cell.base is not None}

    @cached_property
    def gain(self) -> dict[int, float]:
        """final - base by seed, if both come from the same evaluation."""
        return {seed: cell.difference for seed, cell in self.by_seed.items() if cell.difference is not None}

    @property
    def answers(self) -> int | None:
        """The number of graded answers behind a value (problems × samples); the smallest if cells differ, None if
        unknown.
        """
        known = [cell.answers for cell in self.cells if cell.answers]
        return min(known) if known else None

    def named(self, shown: Collection[str]) -> str:
        """Return the row's values on the axes `shown` as text; values of axes other than model and reward with their
        key.
        """
        parts = [(axis, self.axes.get(axis, "")) for axis in shown]
        return " ".join(value if axis in ("model", "reward") else f"{axis}={value}" for axis, value in parts if value)

    def told(self, shown: Collection[str]) -> str:
        """Return `named` and `apart`, so that no other row with these axes has the same text."""
        return " ".join(filter(None, [self.named(shown), self.apart]))


def pool(cells: Iterable[CellResult]) -> list[Row]:
    """Return the cells in rows, in the order of the rows' first cells."""
    rows: dict[str, list[CellResult]] = {}
    for cell in cells:
        rows.setdefault(_key(cell), []).append(cell)
    found = [Row(tuple(members)) for members in rows.values()]
    alike: dict[str, list[Row]] = {}
    for row in found:
        alike.setdefault(json.dumps(row.axes, sort_keys=True), []).append(row)
    apart = {id(row): words for members in alike.values() for row, words in zip(members, _apart(members), strict=True)}
    return [replace(row, apart=apart[id(row)]) for row in found]


def _apart(alike: Sequence[Row]) -> list[str]:
    """Return texts that tell rows with the same axes apart: by steps, then evaluation, then rules."""
    words = [""] * len(alike)
    for said in (
        [f"of {row.length} steps" for row in alike],
        [f"under evaluation {row.evaluation}" for row in alike],
        [f"by rules {row.rules or 'none'}" for row in alike],
    ):
        if len(set(words)) < len(alike) and len(set(said)) > 1:
            words = [" ".join(filter(None, both)) for both in zip(words, said, strict=True)]
    return words


def _key(cell: CellResult) -> str:
    """Return the row key that the records gave the cell; for files older than row keys, make one from other fields."""
    axes = {axis: value for axis, value in cell.axes.items() if axis != SEED}
    return cell.row or json.dumps([axes, cell.evaluation, cell.step], sort_keys=True)


def axes_of(rows: Iterable[Row]) -> list[str]:
    """Return every axis of the rows: model and reward first, the others by name."""
    found = {axis for row in rows for axis in row.axes}
    first = [axis for axis in ("model", "reward") if axis in found]
    return [*first, *sorted(found - {"model", "reward"})]


def telling(rows: Iterable[Row]) -> list[str]:
    """Return the axes in which rows differ, or model and reward if there is only one row."""
    rows = list(rows)
    differ = [axis for axis in axes_of(rows) if len({row.axes.get(axis, "") for row in rows}) > 1]
    return differ or axes_of(rows)[:2]


def same(first: Mapping[str, str], second: Mapping[str, str], but: Collection[str]) -> bool:
    """Return True if two rows' axes are equal, except for those named in `but`."""
    return all(first.get(axis, "") == second.get(axis, "") for axis in first.keys() | second.keys() if axis not in but)
