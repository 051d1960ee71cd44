"""Find in the ledger the sweeps that list a training, and the axes by which a dashboard groups it.

All cells of one sweep must show a value for each of its axes, or lines that belong together are not grouped. A training
that two sweeps list must show the axes of both, and so must all other cells of both. Sweeps that share a training
therefore share their axes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.config.cell import CellConfig
from sweep.run.entry import Entry
from sweep.run.ledger import Sweep, read_sweeps
from sweep.run.wandb_names import OWN_AXES, axis_key


@dataclass(frozen=True)
class Listed:
    """The ledger's entry of a training.

    sweeps: the names of the sweeps that list it. axes: for each axis of these sweeps the choice that was typed; None if
    it was typed only for other cells. baseline: the directory of its baseline, relative to the output directory.
    """

    sweeps: tuple[str, ...] = ()
    axes: tuple[tuple[str, str | None], ...] = ()
    baseline: str | None = None


def read_listed(root: Path) -> dict[str, Listed]:
    """Return every training that the sweeps of the output directory `root` list, by its path relative to `root`."""
    return listed(read_sweeps(root))


def listed(sweeps: Sequence[Sweep]) -> dict[str, Listed]:
    """Return every training that the `sweeps` list, by its directory."""
    keys = _shared_axes(sweeps)
    entries: dict[str, dict[str, Entry]] = {}
    for sweep in sweeps:
        for entry in sweep.cells:
            entries.setdefault(entry.training, {})[sweep.name] = entry
    return {
        directory: Listed(
            tuple(sorted(of)),
            tuple((key, _typed(of.values(), key)) for key in keys[next(iter(of))]),
            next((entry.stages[0] for entry in of.values() if entry.steps and entry.stages), None),
        )
        for directory, of in entries.items()
    }


def _typed(entries: Sequence[Entry], key: str) -> str | None:
    return next((entry.axes[key] for entry in entries if key in entry.axes), None)


def _shared_axes(sweeps: Sequence[Sweep]) -> dict[str, list[str]]:
    """Return by sweep the axes of all sweeps that it is connected to by shared trainings, in a fixed order."""
    groups: list[tuple[set[str], set[str], set[str]]] = []  # names of sweeps, trainings, axes
    for sweep in sweeps:
        trainings = {entry.training for entry in sweep.cells}
        group = {sweep.name}, trainings, {axis for entry in sweep.cells for axis in entry.axes}
        for other in [other for other in groups if other[1] & trainings]:
            groups.remove(other)
            group = tuple(mine | theirs for mine, theirs in zip(group, other, strict=True))
        groups.append(group)
    return {name: sorted(axes) for names, _, axes in groups for name in names}


def axis_values(config: CellConfig, axes: Sequence[tuple[str, str | None]]) -> dict[str, Any]:
    """Return a value for each axis. Dots in a name are replaced, because W&B reads them as a path into a section.

    Numbers stay numbers, and null is None. A choice of a whole section is shown by the typed name, or else by the
    section's own `name`.
    """
    frozen = config.model_dump(mode="json")
    own = {"model": config.model.name, "reward": config.reward.title, "seed": config.seed}
    others = {key: _value(frozen, key, typed) for key, typed in axes if key not in own}
    return own | {axis_key(key): value for key, value in others.items()}


def _value(frozen: dict, key: str, typed: str | None) -> Any:
    found: Any = frozen
    for word in key.split("."):
        if not isinstance(found, dict) or word not in found:
            return typed
        found = found[word]
    if isinstance(found, dict):
        return typed if typed is not None else found.get("name")
    return json.dumps(found) if isinstance(found, list) else found


def composite(values: dict[str, Any]) -> str:
    """Return all axes but the seed as one text, because a chart groups by one key only."""
    others = [f"{key}={json.dumps(value)}" for key, value in values.items() if key not in OWN_AXES]
    return " ".join([values["model"], values["reward"], *others])
