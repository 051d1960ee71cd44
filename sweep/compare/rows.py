"""Find the cells that differ only in the seed, and name the axes that tell other cells apart. Pure: it reads no file.

A cell's row follows from the identity of its training, its evaluation and its length, never from how it was typed. So
two launches fill the same row if they spell one choice differently, or if one leaves out a default.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sweep.compare.results import CellResult
from sweep.run.identity import flat, signature
from sweep.run.state import State

LONGEST_VALUE = 40  # characters of a value in a table; a longer one, such as a reward's source, is shown as a hash
CHOICES = ("model", "reward")
# The sections and keys that a model's or a reward's file sets, or that only some of them read. If the value of such a
# key follows from the choice of the model or reward, it is not an axis; a rate that was typed for one reward alone is.
FOLLOW = {
    "model": (
        *("model", "optimizer", "prompt", "data", "rollout"),
        *("algorithm.prompts_per_step", "algorithm.samples_per_prompt"),
    ),
    "reward": ("reward", "labels", "grading"),
}


@dataclass(frozen=True)
class Point:
    """The identity of a cell.

    trained: the identity of its training; {} if its configuration was never frozen.
    evaluated: the identity of its evaluation; {} if none is known.
    typed: the axes of the launch that brought it, as they were typed.
    length: the number of steps at which its values were taken.
    """

    trained: Mapping
    evaluated: Mapping
    typed: Mapping[str, str]
    length: int

    @property
    def traits(self) -> dict[str, object]:
        """The identity of its training by dotted keys, without the seed and the rules of the code."""
        return {k: v for k, v in flat(dict(self.trained)).items() if k != "seed" and not k.startswith("rules.")}

    @property
    def choices(self) -> dict[str, str]:
        """The axes as typed, without the seed."""
        return {key: value for key, value in self.typed.items() if key != "seed"}


def in_rows(cells: Sequence[CellResult], points: Sequence[Point]) -> list[CellResult]:
    """Return the cells with their row keys and with axes that tell the rows apart.

    Args:
        points: the identity of each cell, in the same order.
    """
    keys = _row_keys(points)
    rows: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        rows.setdefault(key, []).append(place)
    members = [[points[place] for place in places] for places in rows.values()]
    names = dict(zip(rows, _names(members, [cells[places[0]] for places in rows.values()]), strict=True))
    found = []
    for cell, key in zip(cells, keys, strict=True):
        shown = names[key]
        axes = {**{c: shown[c] for c in CHOICES}, "seed": str(cell.seed), **shown}
        found.append(replace(cell, axes=axes, row=key))
    return found


def replaced(cells: Sequence[CellResult], points: Sequence[Point]) -> list[bool]:
    """Return for each cell whether it failed and a later cell differs from it only in a reward's own source."""
    plain = [json.dumps(_without_sources(dict(point.trained)), sort_keys=True, default=str) for point in points]
    last = {text: place for place, text in enumerate(plain) if points[place].trained}
    failed = [State(c.state).ended and c.state != State.DONE and c.final_accuracy is None for c in cells]
    return [failed[place] and last.get(text, place) > place for place, text in enumerate(plain)]


def _without_sources(value: object) -> object:
    """Return an identity without the source files of the functions in it."""
    if isinstance(value, Mapping):
        return {key: _without_sources(part) for key, part in value.items() if key != "function"}
    return [_without_sources(part) for part in value] if isinstance(value, list | tuple) else value


def _row_keys(points: Sequence[Point]) -> list[str]:
    """Return a key for each cell; keys are equal if nothing but the seed differs.

    A cell without a known identity is placed by its typed axes: in the row of a cell that was typed in the same way,
    else in a row of its own.
    """
    typed_alike: dict[str, str] = {}
    keys = []
    for point in points:
        known = any(key.startswith("reward.") for key in point.traits)
        what = {**point.trained, "seed": 0} if known else {"schema": point.trained.get("schema"), **point.choices}
        key = signature({"training": what, "evaluation": dict(point.evaluated), "steps": point.length})
        keys.append(key)
        if known:
            typed_alike.setdefault(json.dumps(point.choices, sort_keys=True), key)
    return [
        typed_alike.get(json.dumps(point.choices, sort_keys=True), key) if not point.trained else key
        for point, key in zip(points, keys, strict=True)
    ]


def _names(rows: Sequence[Sequence[Point]], firsts: Sequence[CellResult]) -> list[dict[str, str]]:
    """Return for each row its model, its reward, and the keys that tell it from the others.

    Args:
        firsts: one cell of each row.
    """
    traits = [row[0].traits for row in rows]
    known = [flat(dict(row[0].evaluated)) | trait for trait, row in zip(traits, rows, strict=True)]
    own = {"model": [cell.model for cell in firsts], "reward": [cell.reward for cell in firsts]}
    named = {key: [_choice(row, key, name) for row, name in zip(rows, own[key], strict=True)] for key in CHOICES}
    typed = dict.fromkeys(key for row in rows for point in row for key in point.choices if key not in CHOICES)
    for axis in typed:
        values = _axis_values(axis, rows, known)
        if len(set(values)) > 1:
            named[axis] = values
    varied = {key for trait in traits for key in trait} - named.keys() - {"schema"}
    for key in sorted(varied):
        values = [_short(trait.get(key, "")) for trait in traits]
        if len(set(values)) > 1 and not _follows(key, values, named, typed):
            named[key] = values
    return [{key: values[place] for key, values in named.items()} for place in range(len(rows))]


def _choice(row: Sequence[Point], key: str, name: str) -> str:
    """Return the name of the row's model or reward: as typed if several choices share the name, else its own name."""
    return next((point.typed[key] for point in row if point.typed.get(key, name) != name), name)


def _axis_values(axis: str, rows: Sequence[Sequence[Point]], known: Sequence[Mapping]) -> list[str]:
    """Return for each row its value on an axis that some launch typed, in one spelling; "" if the row has no such key.

    The choice of a whole group is recognised in a row of another launch by the values that the group's file sets.
    """
    typed = [next((point.typed[axis] for point in row if axis in point.typed), "") for row in rows]
    brought = [_brought(axis, of_row) for of_row in known]
    spelled = {content: value for content, value in reversed([*zip(brought, typed, strict=True)]) if value}
    resolved = [_short(of_row.get(axis, "")) for of_row in known]
    return [
        (spelled.get(content) if content else value) or value or other
        for content, value, other in zip(brought, typed, resolved, strict=True)
    ]


def _brought(axis: str, known: Mapping) -> str:
    """Return all values that a row has under `axis` as one text; "" if there are none."""
    found = {key: value for key, value in known.items() if key == axis or key.startswith(f"{axis}.")}
    return json.dumps(found, sort_keys=True, default=str) if found else ""


def _follows(key: str, values: Sequence[str], named: Mapping[str, Sequence[str]], typed: Iterable[str]) -> bool:
    """Return True if a key's values are determined by the model, by the reward, or by typed axes of its section."""
    section = key.partition(".")[0]
    choices = [choice for choice in CHOICES if section in FOLLOW[choice] or key in FOLLOW[choice]]
    axes = [axis for axis in typed if axis in named and axis.partition(".")[0] == section]
    if not choices and not axes:
        return False
    causes = list(zip(*(named[name] for name in (*choices, *axes)), strict=True))
    return len(set(zip(causes, values, strict=True))) == len(set(causes))


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"#{signature({'value': text})}"
