"""The ledger of sweeps: `sweeps/NAME.json` in the output directory lists the runs that belong to a sweep."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from sweep.errors import UserError
from sweep.run.files import read_json, write_json


@dataclass(frozen=True)
class Entry:
    """A cell of a sweep; directories are relative to the output directory."""

    label: str
    axes: dict[str, str]
    model: str
    reward: str
    seed: int
    signature: str
    steps: int
    directory: str
    stages: list[str]


@dataclass(frozen=True)
class Sweep:
    """A named set of cells."""

    name: str
    root: Path
    cells: list[Entry]

    def directory(self, entry: Entry) -> Path:
        return self.root / entry.directory

    def stages(self) -> list[Path]:
        """The directories of the stages the cells depend on, each once."""
        return [self.root / s for s in dict.fromkeys(s for cell in self.cells for s in cell.stages)]


def record(name: str, root: Path, cells: list[Entry], overrides: list[str]) -> Sweep:
    """Add `cells` to the sweep, or refresh their entries; cells of earlier launches stay."""
    path = _path(root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    known = read_json(path) or {"name": name, "launches": [], "cells": []}
    entries = {c["signature"]: c for c in known["cells"]} | {c.signature: asdict(c) for c in cells}
    launches = [*known["launches"], {"time": time.time(), "overrides": overrides}]
    write_json(path, {"name": name, "launches": launches, "cells": list(entries.values())})
    return read_sweep(root, name)


def read_sweep(root: Path, name: str) -> Sweep:
    """The sweep `name` of the output directory `root`.

    Raises:
        UserError: there is no such sweep; those that exist are named.
    """
    found = read_json(_path(root, name)) if name == Path(name).name else None
    if found is None:
        names = sorted(p.stem for p in (root / "sweeps").glob("*.json"))
        there = f"there are: {', '.join(names)}" if names else f"no sweep was launched into {root} yet"
        raise UserError(f"{name}: no such sweep; {there}")
    return Sweep(name, root, [Entry(**cell) for cell in found["cells"]])


def _path(root: Path, name: str) -> Path:
    return root / "sweeps" / f"{name}.json"
