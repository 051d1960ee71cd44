"""The comparison as JSON and as a table: model × reward (and any other axis), pooled over seeds alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from sweep.compare.cells import CellResult, Comparison
from sweep.compare.statistics import t_interval
from sweep.run.identity import differences

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
    extra = _extra_axes(comparison.cells)
    apart = _apart(comparison.cells, extra)
    groups = _groups(comparison.cells, extra)
    table = Table(
        title=f"sweep {comparison.sweep}: accuracy and code reasoning in %, means over n seeds",
        title_justify="left",
    )
    for name in ("model", "reward", *extra, *apart):
        table.add_column(name, no_wrap=True)
    for name in ("n", "base", "final", "difference", "95 % interval", "base code", "final code"):
        table.add_column(name, justify="right", no_wrap=True)
    for cells in groups.values():
        table.add_row(*_axes(cells[0], extra), *(MEASURES[name](cells[0]) for name in apart), *_row(cells))
    console.print(table)
    if "evaluation" in apart:
        for line in _evaluations(comparison.evaluations):
            console.print(line, markup=False, soft_wrap=True)
    for line in _warnings(comparison.cells):
        console.print(line, markup=False, soft_wrap=True)
    for cell in comparison.cells:
        if cell.state != "done":
            console.print(f"{cell.state}: {_where(cell)} {cell.note}".rstrip(), markup=False, soft_wrap=True)
    console.print(f"run directories: {comparison.root / 'cells'}", soft_wrap=True)
    if any(c.model.endswith("_mini") for c in comparison.cells):
        console.print(CAVEAT, style="dim")


def _rules(cell: CellResult) -> str:
    return "unknown" if cell.rules is None else ", ".join(f"{rule} {number}" for rule, number in cell.rules.items())


# What cells of one row also have in common, shown where the axes do not tell it.
EVALUATED = ("evaluation", "prompt", "grading", "data", "rollout")  # sections that an evaluation is made of
MEASURES = {"evaluation": lambda cell: cell.evaluation or "", "rules": _rules}


def _extra_axes(cells: list[CellResult]) -> list[str]:
    return sorted({axis for c in cells for axis in c.axes} - {"model", "reward", "seed"})


def _axes(cell: CellResult, extra: list[str]) -> tuple[str, ...]:
    return (cell.model, cell.reward, *(cell.axes.get(axis, "") for axis in extra))


def _apart(cells: list[CellResult], extra: list[str]) -> list[str]:
    """The measures that rows must show, because cells differ in them without an axis that says so.

    An evaluation is the same for every model and reward, whose rows are read side by side. The rules of a training
    follow from its reward.
    """
    said = [axis for axis in extra if axis.partition(".")[0] in EVALUATED]
    shown = {"evaluation": lambda c: [c.axes.get(axis, "") for axis in said], "rules": lambda c: _axes(c, extra)}
    known = [c for c in cells if c.base_accuracy is not None or c.final_accuracy is not None]
    return [
        name
        for name, measure in MEASURES.items()
        if len({(*shown[name](c), measure(c)) for c in known}) > len({tuple(shown[name](c)) for c in known})
    ]


def _groups(cells: list[CellResult], extra: list[str]) -> dict[tuple[str, ...], list[CellResult]]:
    """Cells that differ in nothing but the seed, by their axes; results of other evaluations or rules stay apart."""
    groups = defaultdict(list)
    for cell in cells:
        groups[(*_axes(cell, extra), *(measure(cell) for measure in MEASURES.values()))].append(cell)
    return dict(groups)


def _evaluations(identities: dict[str, dict]) -> Iterator[str]:
    """How each evaluation differs from the first one."""
    (first, identity), *others = identities.items()
    for name, other in others:
        yield f"evaluations {first} and {name} differ: {'; '.join(differences(identity, other))}"


def _warnings(cells: list[CellResult]) -> list[str]:
    """What keeps numbers from being read side by side."""
    lines = [f"{_where(cell)}: {cell.unlike}" for cell in cells if cell.unlike]
    for row in _groups(cells, _extra_axes(cells)).values():
        steps = sorted({cell.step for cell in row if cell.difference is not None})
        if len(steps) > 1:
            trained = ", ".join(f"seed {cell.seed} to step {cell.step}" for cell in row if cell.difference is not None)
            lines.append(f"{_where(row[0], 'seed')}: its seeds were not trained alike ({trained})")
    older = [cell for cell in cells if cell.older]
    if older:
        versions = " and ".join(sorted({cell.older for cell in older}))
        lines.append(
            f"{len(older)} of {len(cells)} cells were made by an older version of the code ({versions}): they are "
            "shown as they are, and a launch of this sweep takes none of them for today's"
        )
    return lines


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


def _where(cell: CellResult, without: str = "") -> str:
    return " ".join(f"{k}={v}" for k, v in cell.axes.items() if k != without)
