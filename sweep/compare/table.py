"""The comparison as JSON and as a table: model × reward (and any other axis), pooled over seeds alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sweep.compare.results import CellResult, Comparison
from sweep.compare.rows import CHOICES
from sweep.compare.statistics import t_interval
from sweep.run.identity import differences
from sweep.run.state import State

CAVEAT = (
    "The minis' corpora were built to differ this way: these numbers test the pipeline and are no evidence for or "
    "against the paper."
)


def comparison_json(comparison: Comparison) -> dict:
    """The comparison as `compare --json` prints it."""
    cells = [{**asdict(c), "difference": c.difference} for c in comparison.cells]
    left_out = [asdict(c) for c in comparison.superseded]
    return {
        "sweep": comparison.sweep,
        "directory": str(comparison.root),
        "cells": cells,
        "superseded": left_out,
    }


def print_comparison(comparison: Comparison, console: Console) -> None:
    """A row for each model and reward: accuracy before and after, and how much of it reasons in code."""
    names = _axes_of(comparison.cells)
    apart = _apart(comparison.cells, names)
    table = Table(
        title=f"sweep {comparison.sweep}: accuracy and code reasoning in %, means over n seeds",
        title_justify="left",
    )
    for name in (*names, *apart):
        table.add_column(name, no_wrap=True)
    for name in ("n", "base", "final", "difference", "95 % interval", "base code", "final code"):
        table.add_column(name, justify="right", no_wrap=True)
    for cells in _rows(comparison.cells):
        shown = (*(cells[0].axes[name] for name in names), *(MEASURES[name](cells[0]) for name in apart))
        table.add_row(*map(escape, shown), *_row(cells))
    console.print(table)
    if "evaluation" in apart:
        for line in _evaluations(comparison.evaluations):
            console.print(line, markup=False, soft_wrap=True)
    for line in (*_warnings(comparison.cells), *_left_out(comparison.superseded)):
        console.print(line, markup=False, soft_wrap=True)
    for cell in comparison.cells:
        if cell.state != State.DONE:
            console.print(f"{cell.state}: {_where(cell)} {cell.note}".rstrip(), markup=False, soft_wrap=True)
    console.print(f"run directories: {comparison.root / 'cells'}", soft_wrap=True)
    if any(c.model.endswith("_mini") for c in comparison.cells):
        console.print(CAVEAT, style="dim")


def _rules(cell: CellResult) -> str:
    return "unknown" if cell.rules is None else ", ".join(f"{rule} {number}" for rule, number in cell.rules.items())


# What cells of one row also have in common, shown where the axes do not tell it.
EVALUATED = ("evaluation", "prompt", "grading", "data", "rollout")  # sections that an evaluation is made of
MEASURES = {
    "steps": lambda cell: str(cell.length),
    "evaluation": lambda cell: cell.evaluation or "",
    "rules": _rules,
}


def _axes_of(cells: list[CellResult]) -> list[str]:
    """The columns that tell rows apart: model, reward, then what else does."""
    return [*CHOICES, *sorted({axis for cell in cells for axis in cell.axes} - {*CHOICES, "seed"})]


def _apart(cells: list[CellResult], names: list[str]) -> list[str]:
    """The measures that rows must show, because cells differ in them without an axis that says so.

    Steps and an evaluation are the same for every model and reward, whose rows are read side by side. The rules of a
    training follow from its reward.
    """
    said = [axis for axis in names if axis.partition(".")[0] in EVALUATED]
    shown = {"steps": [], "evaluation": said, "rules": names}
    known = [c for c in cells if c.base_accuracy is not None or c.final_accuracy is not None]
    return [
        name
        for name, measure in MEASURES.items()
        if len({(*_values(c, shown[name]), measure(c)) for c in known}) > len({_values(c, shown[name]) for c in known})
    ]


def _values(cell: CellResult, names: list[str]) -> tuple[str, ...]:
    return tuple(cell.axes[name] for name in names)


def _rows(cells: list[CellResult]) -> list[list[CellResult]]:
    """Cells that differ in nothing but the seed, together."""
    rows = defaultdict(list)
    for cell in cells:
        rows[cell.row].append(cell)
    return list(rows.values())


def _evaluations(identities: dict[str, dict]) -> Iterator[str]:
    """How each evaluation differs from the first one."""
    (first, identity), *others = identities.items()
    for name, other in others:
        yield f"evaluations {first} and {name} differ: {'; '.join(differences(identity, other))}"


def _warnings(cells: list[CellResult]) -> list[str]:
    """What keeps numbers from being read side by side."""
    lines = [f"{_where(cell)}: {cell.unlike}" for cell in cells if cell.unlike]
    lines += _unequal_lengths(cells)
    lines += [
        f"{_where(cell)}: asked for steps={cell.asked}, and shown as of step {cell.length}, to which another launch "
        "trained it"
        for cell in cells
        if cell.length > cell.asked
    ]
    older = [cell for cell in cells if cell.older]
    if older:
        versions = " and ".join(sorted({cell.older for cell in older}))
        lines.append(
            f"{len(older)} of {len(cells)} cells were made by an older version of the code ({versions}): they are "
            "shown as they are, and a launch of this sweep takes none of them for today's"
        )
    return lines


def _left_out(superseded: list[CellResult]) -> Iterator[str]:
    for cell in superseded:
        yield (
            f"left out: {_where(cell)} ({cell.state}), since its reward's function was mended and launched again; "
            f"`remove` takes {Path(cell.directory).name} out of the sweep"
        )


def _unequal_lengths(cells: list[CellResult]) -> Iterator[str]:
    """A line for each set of seeds that were trained to different steps, and so stand in different rows."""
    alike = defaultdict(list)
    for cell in cells:
        if cell.difference is not None:
            same = " ".join(f"{axis}={value}" for axis, value in cell.axes.items() if axis != "seed")
            alike[same, cell.evaluation, _rules(cell)].append(cell)
    for (same, *_), found in alike.items():
        if len({cell.length for cell in found}) > 1:
            trained = ", ".join(f"seed {cell.seed} to step {cell.length}" for cell in found)
            yield f"{same}: its seeds were not trained alike ({trained})"


def _row(cells: list[CellResult]) -> list[str]:
    done = [c for c in cells if c.difference is not None]
    differences = [c.difference for c in done]
    interval = t_interval(differences)
    return [
        f"{len(done)}" if len(done) == len(cells) else f"{len(done)} of {len(cells)}",
        _percent([c.base_accuracy for c in cells]),
        _percent([c.final_accuracy for c in done]),
        _percent(differences, sign="+"),
        "" if interval is None else f"{100 * interval[0]:+.1f} … {100 * interval[1]:+.1f}",
        _percent([c.base_code for c in cells]),
        _percent([c.final_code for c in done]),
    ]


def _percent(values: list[float | None], sign: str = "") -> str:
    known = [v for v in values if v is not None]
    return f"{100 * sum(known) / len(known):{sign}.1f}" if known else ""


def _where(cell: CellResult) -> str:
    return " ".join(f"{k}={v}" for k, v in cell.axes.items())
