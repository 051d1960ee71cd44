"""The ledger of sweeps: `sweeps/NAME/` in the output directory lists the runs that belong to a sweep.

Each launch adds a file with its runs, and each removal adds a file with the runs it removes, so that two at the same
time never overwrite each other.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from sweep.errors import UnknownRecord, UserError, without_secrets
from sweep.run.entry import Entry
from sweep.run.files import read_json, record_of, write_json

REMOVED = "-removed.json"  # suffix of a file that lists removed runs


@dataclass(frozen=True)
class Sweep:
    """A named set of cells, and the stages they need, in an order in which they can run."""

    name: str
    root: Path
    stages: list[Entry]
    cells: list[Entry]

    def directory(self, entry: Entry) -> Path:
        """Return the run directory of an entry."""
        return self.root / entry.directory


def record(name: str, root: Path, stages: list[Entry], cells: list[Entry], overrides: list[str]) -> Sweep:
    """Add `stages` and `cells` to the sweep, or update their entries. Entries of earlier launches stay.

    Args:
        overrides: the typed overrides, with `--config-dir`; they are stored without secrets.
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
    """Record that `entries` no longer belong to the sweep. A later launch may add them again."""
    written = {"time": time.time(), "overrides": [], "stages": [], "cells": []}
    _write(sweep.root / "sweeps" / sweep.name, written | {"removed": [entry.signature for entry in entries]})


def _write(home: Path, launch: dict) -> None:
    name = f"{launch['time']:017.6f}-{uuid.uuid4().hex[:6]}"
    write_json(home / (f"{name}{REMOVED}" if "removed" in launch else f"{name}.json"), launch)


def read_sweep(root: Path, name: str) -> Sweep:
    """Return the sweep `name` of the output directory `root`.

    Raises:
        UserError: there is no such sweep, or all of it was removed. The message names the sweeps that exist.
    """
    home = root / "sweeps" / name
    if name in ("", "..") or name != Path(name).name or not home.is_dir() or _is_emptied(home):
        names = _names(root)
        there = f"in {root} there are: {', '.join(names)}" if names else f"no sweep was launched into {root} yet"
        raise UserError(f"{name or repr(name)}: no such sweep; {there}\n  --output-dir names another output directory")
    merged = _merged(home)
    cells = [record_of(Entry, entry, home) for entry in merged["cells"].values()]
    # A training that one launch evaluated and another launched as a cell of its own is listed once, as the cell.
    stages = [record_of(Entry, entry, home) for sign, entry in merged["stages"].items() if sign not in merged["cells"]]
    return Sweep(name, root, stages, sorted(cells, key=lambda entry: entry.steps == 0))


def read_launches(root: Path, name: str) -> list[tuple[list[str], list[str]]]:
    """Return the launches of the sweep `name` that brought a cell, in order: (overrides, signatures of the cells)."""
    found = [read_json(file) for file in sorted((root / "sweeps" / name).glob("*.json"))]
    return [(one["overrides"], [e["signature"] for e in one["cells"]]) for one in found if one["cells"]]


def read_sweeps(root: Path) -> list[Sweep]:
    """Return every sweep of the output directory."""
    return [read_sweep(root, name) for name in _names(root)]


def _names(root: Path) -> list[str]:
    """Return the names of the sweeps of an output directory that are not empty."""
    homes = [path for path in sorted((root / "sweeps").glob("*")) if path.is_dir()]
    return [home.name for home in homes if not _is_emptied(home)]


def _is_emptied(home: Path) -> bool:
    newest = max(home.glob("*.json"), default=home)
    return newest.name.endswith(REMOVED) and not any(_merged(home).values())


def _merged(home: Path) -> dict[str, dict[str, dict]]:
    """Return stages and cells of all launches by signature, each with its latest entry."""
    merged: dict[str, dict[str, dict]] = {"stages": {}, "cells": {}}
    for file in sorted(home.glob("*.json")):
        launch = read_json(file)
        try:
            for kind, entries in merged.items():
                entries |= {e["signature"]: e for e in launch[kind]}
                for sign in launch.get("removed", ()):
                    entries.pop(sign, None)
        except (KeyError, TypeError):
            why = "it is damaged, or of a later version of this project"
            raise UnknownRecord(f"{file}: {why}; put a copy of it back, or update the project") from None
    return merged
