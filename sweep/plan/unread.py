"""Find keys that a cell does not read, because of its other choices; cells that differ only in them run once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from models.config import is_local
from sweep.config.cell import CellConfig
from sweep.config.faults import plural, say_once
from sweep.plan.compose import SHOWN_AXES, Composition
from sweep.plan.overrides import reader_of


def unread(config: CellConfig) -> dict[str, str]:
    """Return the keys, or whole sections, that nothing reads in this cell, each with the choice that makes it so."""
    algorithm, model, rollout, tracking = config.algorithm, config.model, config.rollout, config.tracking
    found = {f"algorithm.{name}": f"algorithm.{why}" for name, why in algorithm.unread.items()}
    if not config.reward.needs_labels:
        found["labels"] = f"the reward {config.reward.title} needs no labels"
    if model.path is None or is_local(model.path):
        found["model.revision"] = "the weights are not fetched from the hub"
    if rollout.batch_size is not None and rollout.name == "transformers":
        found["rollout.cache_gb"] = f"rollout.batch_size={rollout.batch_size}"
    if config.cluster.runs_here:
        why = f"cluster={config.cluster.kind} limits neither"
        found |= dict.fromkeys(("resources.hours", "resources.memory_gb"), why)
    if tracking.mode == "disabled":
        found |= dict.fromkeys((f"tracking.{name}" for name in ("project", "entity", "tags")), "tracking.mode=disabled")
    if tracking.sample_groups == 0:
        found |= dict.fromkeys(("tracking.samples_every", "tracking.sample_characters"), "tracking.sample_groups=0")
    if algorithm.kl_coefficient > 0 and algorithm.kl_place == "loss":
        found["tracking.reference_kl_every"] = "algorithm.kl_place=loss measures it at every step"
    return found


def why_unread(config: CellConfig, key: str, found: dict[str, str]) -> str:
    """Return why nothing reads the typed `key` in this cell; "" if something does.

    Args:
        found: the result of `unread` for the cell.
    """
    parts = key.split(".")
    for place in (".".join(parts[: count + 1]) for count in range(len(parts))):
        if place in found:
            return found[place]
    reader = reader_of(key)
    if reader == key:
        return ""
    if why := why_unread(config, reader, found):
        return why
    value = _value(config, reader)
    return f"{reader}={value} stands in its place" if value != _value(config, key) else ""


def _value(config: CellConfig, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part, None)
    return value


def run_once(cells: Sequence[Composition]) -> tuple[list[Composition], list[str]]:
    """Return the cells without the axes that they do not read, each once; and notes about the unread keys."""
    kept: dict[object, Composition] = {}
    said: list[tuple[str, tuple[str, str]]] = []  # a cell, the key that it does not read, and why
    times: dict[tuple[str, str], int] = {}
    for place, cell in enumerate(cells):
        reasons = dict(_reasons(cell))
        axes = {key: value for key, value in cell.axes.items() if key in SHOWN_AXES or key not in reasons}
        merged = replace(cell, axes=axes)
        kept.setdefault(tuple(axes.items()) if len(axes) < len(cell.axes) else place, merged)
        for pair in reasons.items():
            said.append((merged.label, pair))
            times[pair] = times.get(pair, 0) + 1
    by_all = [pair for pair, number in times.items() if number == len(cells)]
    notes = [f"no cell reads {key}, because {why}" for key, why in by_all]
    some = [(label, pair) for label, pair in said if pair not in by_all]
    notes += say_once((label, f"{key} is not read, because {why}") for label, (key, why) in some)
    if len(kept) < len(cells):
        notes.append(
            f"{plural(len(cells), 'combination')} typed make {plural(len(kept), 'cell')}: those that differ only in "
            "what they do not read run once"
        )
    return list(kept.values()), notes


def _reasons(cell: Composition) -> Iterator[tuple[str, str]]:
    found = unread(cell.config)
    for key in cell.typed:
        if why := why_unread(cell.config, key, found):
            yield key, why
