"""What the ledger says of a training: the sweeps that list it, and the axes by which a dashboard groups it.

Cells of one sweep must show a value of each of its axes, or lines that belong together fall apart. A training that two
sweeps list must show the axes of both, and then so must every other cell of both: sweeps that share a training share
their axes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.config.cell import CellConfig
from sweep.run.ledger import Entry, Sweep, read_sweeps
from sweep.run.wandb_names import OWN_AXES, axis_key


@dataclass(frozen=True)
class Listed:
    """A training in the ledger of its output directory.

    sweeps: the names of those that list it. axes: the choice that was typed for each axis of theirs; None where it was
    typed for other cells alone. baseline: the directory of its baseline, relative to the output directory.
    """

    sweeps: tuple[str, ...] = ()
    axes: tuple[tuple[str, str | None], ...] = ()
    baseline: str | None = None


def read_listed(root: Path) -> dict[str, Listed]:
    """Every training that the sweeps of the output directory `root` list, by its directory relative to `root`."""
    return listed(read_sweeps(root))


def listed(sweeps: Sequence[Sweep]) -> dict[str, Listed]:
    """Every training that the `sweeps` list, by its directory."""
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
    """By sweep, the axes of all sweeps that it is joined to by trainings that both list, in a fixed order."""
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
    """A value for each axis, under a name without dots, which would read as a place inside a section.

    A number is a number, and null is None. A choice of a whole section is the name that was typed, or else the
    section's own.
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
    """All axes but the seed in one text, since a chart groups by one key alone."""
    others = [f"{key}={json.dumps(value)}" for key, value in values.items() if key not in OWN_AXES]
    return " ".join([values["model"], values["reward"], *others])
