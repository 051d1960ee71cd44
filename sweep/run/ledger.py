"""The ledger of sweeps: `sweeps/NAME/` in the output directory lists the runs that belong to a sweep.

Each launch adds a file with what it brings, and each removal one with what it takes out, so that two at the same time
never overwrite one another.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from sweep.errors import UserError, without_secrets
from sweep.run.files import read_json, write_json

REMOVED = "-removed.json"  # ends the name of a file of what was taken out


@dataclass(frozen=True)
class Entry:
    """A cell of a sweep, or a stage (with 0 steps); directories are relative to the output directory.

    `module` is what its job runs, `stages` are the directories of what it waits for, of a cell its baseline first. A
    cell with 0 steps evaluates the final weights of a training that is the second of its stages.
    """

    label: str
    module: str
    axes: dict[str, str]
    model: str
    reward: str
    seed: int
    signature: str
    steps: int
    directory: str
    stages: list[str]

    @property
    def training(self) -> str:
        """The directory of the training that a cell shows the results of."""
        return self.directory if self.steps else self.stages[1]


@dataclass(frozen=True)
class Sweep:
    """A named set of cells, and the stages they need, in an order in which they can run."""

    name: str
    root: Path
    stages: list[Entry]
    cells: list[Entry]

    def directory(self, entry: Entry) -> Path:
        return self.root / entry.directory


def record(name: str, root: Path, stages: list[Entry], cells: list[Entry], overrides: list[str]) -> Sweep:
    """Add `stages` and `cells` to the sweep, or refresh their entries; those of earlier launches stay.

    Args:
        overrides: what was typed, `--config-dir` among it; kept without secrets.
    """
    home = root / "sweeps" / name
    home.mkdir(parents=True, exist_ok=True)
    known = _merged(home)
    added = {
        kind: [asdict(e) for e in entries if known[kind].get(e.signature) != asdict(e)]
        for kind, entries in (("stages", stages), ("cells", cells))
    }
    launch = {"time": time.time(), "overrides": list(map(without_secrets, overrides)), **added}
    _write(home, launch)
    return read_sweep(root, name)


def take_out(sweep: Sweep, entries: list[Entry]) -> None:
    """Record that `entries` belong to the sweep no more; a later launch may bring them back."""
    written = {"time": time.time(), "overrides": [], "stages": [], "cells": []}
    _write(sweep.root / "sweeps" / sweep.name, written | {"removed": [entry.signature for entry in entries]})


def _write(home: Path, launch: dict) -> None:
    name = f"{launch['time']:017.6f}-{uuid.uuid4().hex[:6]}"
    write_json(home / (f"{name}{REMOVED}" if "removed" in launch else f"{name}.json"), launch)


def read_sweep(root: Path, name: str) -> Sweep:
    """The sweep `name` of the output directory `root`.

    Raises:
        UserError: there is no such sweep, or everything of it was removed; those that exist are named.
    """
    home = root / "sweeps" / name
    if name in ("", "..") or name != Path(name).name or not home.is_dir() or _is_emptied(home):
        names = _names(root)
        there = f"in {root} there are: {', '.join(names)}" if names else f"no sweep was launched into {root} yet"
        raise UserError(f"{name or repr(name)}: no such sweep; {there}\n  --output-dir names another output directory")
    merged = _merged(home)
    cells = [Entry(**entry) for entry in merged["cells"].values()]
    # A training that one launch evaluated and another launched as a cell of its own is listed once, as the cell.
    stages = [Entry(**entry) for sign, entry in merged["stages"].items() if sign not in merged["cells"]]
    return Sweep(name, root, stages, sorted(cells, key=lambda entry: entry.steps == 0))


def read_launches(root: Path, name: str) -> list[tuple[list[str], list[str]]]:
    """The launches of the sweep `name` that brought a cell, in order: what was typed, and the cells' signatures."""
    found = [read_json(file) for file in sorted((root / "sweeps" / name).glob("*.json"))]
    return [(one["overrides"], [e["signature"] for e in one["cells"]]) for one in found if one["cells"]]


def read_sweeps(root: Path) -> list[Sweep]:
    """Every sweep of the output directory."""
    return [read_sweep(root, name) for name in _names(root)]


def _names(root: Path) -> list[str]:
    """The sweeps of an output directory, without those that everything was taken out of."""
    homes = [path for path in sorted((root / "sweeps").glob("*")) if path.is_dir()]
    return [home.name for home in homes if not _is_emptied(home)]


def _is_emptied(home: Path) -> bool:
    newest = max(home.glob("*.json"), default=home)
    return newest.name.endswith(REMOVED) and not any(_merged(home).values())


def _merged(home: Path) -> dict[str, dict[str, dict]]:
    """Stages and cells of all launches, by signature; the latest entry of each."""
    merged: dict[str, dict[str, dict]] = {"stages": {}, "cells": {}}
    for file in sorted(home.glob("*.json")):
        launch = read_json(file)
        for kind, entries in merged.items():
            entries |= {e["signature"]: e for e in launch[kind]}
            for sign in launch.get("removed", ()):
                entries.pop(sign, None)
    return merged
