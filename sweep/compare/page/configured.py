"""What tells cells apart beside their results: configurations, and what their runs were made with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.compare.page.evaluated import cell_label
from sweep.compare.page.texts import shortened
from sweep.compare.results import CellResult, Comparison
from sweep.run.directory import RunDirectory
from sweep.run.identity import flat


def cells_json(comparison: Comparison) -> list[dict[str, Any]]:
    """Return each cell with its state and its name."""
    return [_cell_json(cell) for cell in comparison.cells]


def _cell_json(cell: CellResult) -> dict[str, Any]:
    return {
        "label": cell_label(cell),
        "model": cell.model,
        "reward": cell.reward,
        "seed": cell.seed,
        "axes": cell.axes,
        "state": str(cell.state),
        "step": cell.step,
        "asked": cell.asked,
        "note": cell.note or cell.unlike or cell.older,
        "directory": cell.directory,
    }


def settings_json(comparison: Comparison) -> dict[str, Any]:
    """Return the identities of all trainings and of their evaluations: what follows from them is a cell's result."""
    found = []
    for cell in comparison.cells:
        run = RunDirectory(cell.training or cell.directory)
        of_benchmarks = {f"evaluation of {name}": identity for name, identity in run.evaluations.items()}
        found.append(flat({**(run.identity or {}), **of_benchmarks}))
    return shared_and_own(found)


def environments_json(comparison: Comparison, all_metrics: bool) -> dict[str, Any]:
    """Return what the latest attempt of each training was made with: code, packages, machine, weights.

    Args:
        all_metrics: also the seconds of its start.
    """
    facts = [RunDirectory(cell.training or cell.directory).read_provenance() or {} for cell in comparison.cells]
    found = [flat({key: value for key, value in of.items() if all_metrics or key != "start"}) for of in facts]
    return shared_and_own(found)


def shared_and_own(found: Sequence[Mapping[str, object]]) -> dict[str, Any]:
    """Return `shared`, what all have alike, and `own`, by each key whose values differ a list of values.

    A value in the list is a place in `values`, or None where the key is not set. Long values are cut in the middle.
    """
    keys = sorted({key for one in found for key in one})
    values: dict[str, int] = {}
    shared: dict[str, str] = {}
    own: dict[str, list[int | None]] = {}
    for key in keys:
        texts = [_text(one[key]) if key in one else None for one in found]
        first = texts[0]
        if first is not None and all(text == first for text in texts):
            shared[key] = shortened(first).text
        else:
            own[key] = [None if text is None else values.setdefault(text, len(values)) for text in texts]
    return {"shared": shared, "own": own, "values": [shortened(text).text for text in values]}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
