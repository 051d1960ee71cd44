"""Rows of the comparison: the cells that differ in nothing but the seed, and their values by seed. Reads no file."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sweep.compare.results import CellResult

SEED = "seed"


@dataclass(frozen=True)
class Row:
    """Cells that differ in nothing but the seed.

    Values are those of the comparison's metric, by seed, of the cells that have one. A seed counts once, also where
    several cells have it: the one trained furthest is taken, and `repeated` names the seeds. `apart` says in words what
    tells the row from others of the same axes, where there are any.
    """

    cells: tuple[CellResult, ...]
    apart: str = ""

    @cached_property
    def axes(self) -> dict[str, str]:
        """What tells the row from the others: every axis but the seed."""
        return {axis: value for axis, value in self.cells[0].axes.items() if axis != SEED}

    @property
    def evaluation(self) -> str | None:
        """The signature of the evaluation that its values come from."""
        return self.cells[0].evaluation

    @property
    def length(self) -> int:
        """The steps that its values are of; 0 where that is not known."""
        return self.cells[0].length

    @property
    def rules(self) -> str:
        """The versions of the rules that it was trained under, in words."""
        rules = self.cells[0].rules
        return "unknown" if rules is None else ", ".join(f"{rule} {number}" for rule, number in rules.items())

    @cached_property
    def by_seed(self) -> dict[int, CellResult]:
        """A cell for each seed, in the order of the seeds."""
        ordered = sorted(self.cells, key=lambda cell: (cell.seed, cell.final is not None, cell.step))
        return {cell.seed: cell for cell in ordered}

    @property
    def repeated(self) -> list[int]:
        """Seeds of which there are several cells."""
        seeds = [cell.seed for cell in self.cells]
        return sorted({seed for seed in seeds if seeds.count(seed) > 1})

    @cached_property
    def final(self) -> dict[int, float]:
        return {seed: cell.final for seed, cell in self.by_seed.items() if cell.final is not None}

    @cached_property
    def base(self) -> dict[int, float]:
        return {seed: cell.base for seed, cell in self.by_seed.items() if cell.base is not None}

    @cached_property
    def gain(self) -> dict[int, float]:
        """final - base, where both come from the same evaluation."""
        return {seed: cell.difference for seed, cell in self.by_seed.items() if cell.difference is not None}

    @property
    def answers(self) -> int | None:
        """The graded answers behind a value, problems times samples; the smallest number where cells differ."""
        known = [cell.answers for cell in self.cells if cell.answers]
        return min(known) if known else None

    def named(self, shown: Collection[str]) -> str:
        """The row in words: its values of the axes `shown`; those of other axes than model and reward with the key."""
        parts = [(axis, self.axes.get(axis, "")) for axis in shown]
        return " ".join(value if axis in ("model", "reward") else f"{axis}={value}" for axis, value in parts if value)

    def told(self, shown: Collection[str]) -> str:
        """The same, and what tells the row from others of these axes: no other row is called so."""
        return " ".join(filter(None, [self.named(shown), self.apart]))


def pool(cells: Iterable[CellResult]) -> list[Row]:
    """The cells in rows, in the order in which the rows' first cells come."""
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
    """What tells each of some rows of the same axes from the others: steps, evaluation, rules, in this order."""
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
    """The row that the records gave the cell; of files older than rows, what they tell of it."""
    axes = {axis: value for axis, value in cell.axes.items() if axis != SEED}
    return cell.row or json.dumps([axes, cell.evaluation, cell.step], sort_keys=True)


def axes_of(rows: Iterable[Row]) -> list[str]:
    """Every axis of the rows: model and reward first, the others by name."""
    found = {axis for row in rows for axis in row.axes}
    first = [axis for axis in ("model", "reward") if axis in found]
    return [*first, *sorted(found - {"model", "reward"})]


def telling(rows: Iterable[Row]) -> list[str]:
    """The axes in which rows differ; where there is but one row, its model and reward."""
    rows = list(rows)
    differ = [axis for axis in axes_of(rows) if len({row.axes.get(axis, "") for row in rows}) > 1]
    return differ or axes_of(rows)[:2]


def same(first: Mapping[str, str], second: Mapping[str, str], but: Collection[str]) -> bool:
    """Whether two rows' axes are equal, except for those named in `but`."""
    return all(first.get(axis, "") == second.get(axis, "") for axis in first.keys() | second.keys() if axis not in but)
