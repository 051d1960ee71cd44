"""Results of cells that nobody trained, and what is said of them."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
from rich.console import Console

from sweep.compare.metrics import Metric
from sweep.compare.results import CellResult, Comparison
from sweep.compare.table import print_verdict
from sweep.compare.verdict import Question, Verdict, judge
from sweep.run.entry import Entry

CLAIM = re.compile(r"\b(more|less)\b")


def cells(
    reward: str, mean: float, seeds=(0, 1, 2), model: str = "a", base: float = 0.5, **changes
) -> list[CellResult]:
    """Finished cells of one row; what is given beside the fields of a cell is an axis, with __ for the dot."""
    signature = changes.pop("signature", None)
    known = {name: changes.pop(name) for name in list(changes) if name in CellResult.__dataclass_fields__}
    axes = {key.replace("__", "."): str(value) for key, value in changes.items()}
    noise = np.random.default_rng([ord(character) for character in model + reward]).normal(0, 0.01, len(seeds))
    found = []
    for seed, drawn in zip(seeds, noise, strict=True):
        final = mean + float(drawn - noise.mean())  # so that the seeds' mean is the mean that is asked for
        at = {"model": model, "reward": reward, "seed": str(seed), **axes}
        sign = "-".join([*at.values(), str(known.get("length", 4))])
        place = f"runs/cells/{sign}"
        entry = Entry(sign, "sweep.stages.train", at, model, reward, seed, signature or sign, 4, place, [])
        cell = CellResult(
            entry, at, "done", 4, base, final, 0.0, 0.0, place, "", "e1", base=base, final=final, length=4, asked=4
        )
        found.append(replace(cell, **known))
    return found


def verdict(*rows: list[CellResult], launches=(), metric: Metric | None = None, **question) -> Verdict:
    members = [cell for row in rows for cell in row]
    return judge(
        Comparison(("s",), Path("runs"), members, metric=metric or Metric(), launches=list(launches)),
        Question(**question),
    )


def printed(found: Verdict) -> str:
    console = Console(file=StringIO(), width=200)
    print_verdict(found, console)
    return " ".join(console.file.getvalue().split())
