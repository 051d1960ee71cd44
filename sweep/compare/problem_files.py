"""What answers show problem by problem, in the form that a JSON file of a comparison has. Pure: it reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sweep.compare.pool import Row
from sweep.compare.results import OverProblems
from sweep.score.intervals import Interval
from sweep.score.paired import PairedProblems, PairedTest

TESTS = ("student", "wilcoxon")


def problems_json(row: Row, found: OverProblems) -> dict:
    """Return what the answers of a row show, with the axes of the row."""
    curves = {side: {k: asdict(point) for k, point in getattr(found, side).items()} for side in ("base", "final")}
    return {
        "row": row.axes,
        "cells": list(found.cells),
        "why_not": found.why_not,
        "test": asdict(found.found) if found.found else None,
        "pass_at_k": curves if found.base else None,
    }


def problems_of(found: Mapping[str, Any]) -> OverProblems:
    """Return what `problems_json` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    test, curves = found["test"], found["pass_at_k"] or {"base": {}, "final": {}}
    return OverProblems(
        cells=tuple(found["cells"]),
        found=None if test is None else PairedProblems(**test | {name: PairedTest(**test[name]) for name in TESTS}),
        why_not=found["why_not"],
        **{side: {int(k): Interval(**point) for k, point in curve.items()} for side, curve in curves.items()},
    )
