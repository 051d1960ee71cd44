"""The comparison as JSON and as a table: model × reward (and any other axis), pooled over seeds alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from sweep.compare.cells import CellResult, Comparison
from sweep.compare.statistics import t_interval

CAVEAT = (
    "The minis' corpora were built to differ this way: these numbers test the pipeline and are no evidence for or "
    "against the paper."
)


def comparison_json(comparison: Comparison) -> dict:
    """The comparison as `compare --json` prints it."""
    cells = [{**asdict(c), "difference": c.difference} for c in comparison.cells]
    return {"sweep": comparison.sweep, "directory": str(comparison.root), "cells": cells}


def print_comparison(comparison: Comparison, console: Console) -> None:
    """A row for each model and reward: accuracy before and after, and how much of it reasons in code."""
    groups = _groups(comparison.cells)
    extra = sorted({axis for c in comparison.cells for axis in c.axes} - {"model", "reward", "seed"})
    table = Table(
        title=f"sweep {comparison.sweep}: accuracy and code reasoning in %, means over n seeds",
        title_justify="left",
    )
    for name in ("model", "reward", *extra):
        table.add_column(name, no_wrap=True)
    for name in ("n", "base", "final", "difference", "95 % interval", "base code", "final code"):
        table.add_column(name, justify="right", no_wrap=True)
    for key, cells in groups.items():
        table.add_row(*key, *_row(cells))
    console.print(table)
    for cell in comparison.cells:
        if cell.state != "done":
            console.print(f"{cell.state}: {_where(cell)} {cell.note}".rstrip(), markup=False, soft_wrap=True)
    console.print(f"run directories: {comparison.root / 'cells'}", soft_wrap=True)
    if any(c.model.endswith("_mini") for c in comparison.cells):
        console.print(CAVEAT, style="dim")


def _groups(cells: list[CellResult]) -> dict[tuple[str, ...], list[CellResult]]:
    """Cells that differ in nothing but the seed."""
    groups = defaultdict(list)
    extra = sorted({axis for c in cells for axis in c.axes} - {"model", "reward", "seed"})
    for cell in cells:
        groups[(cell.model, cell.reward, *(cell.axes.get(axis, "") for axis in extra))].append(cell)
    return dict(groups)


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
