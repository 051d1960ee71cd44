"""Compose a resolved configuration from overrides for each point of the cross product.

Hydra composes once per distinct choice of groups (about 90 ms each); value overrides are then applied to copies
with Hydra's own function, which gives the same result. Composing here rather than in a Hydra sweeper plugin lets
`launch.py` and `python -m sweep plan` share it, refuse bad input with one message, and write nothing on the way.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, cast

from hydra import compose
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from sweep.config.cell import CellConfig
from sweep.config.environment_rules import environment_faults
from sweep.config.faults import say_once
from sweep.config.local import GROUP
from sweep.errors import HIDDEN, UserError
from sweep.plan.explain import explain_hydra, explain_validation
from sweep.plan.files import configuration_files
from sweep.plan.local import with_choice, without_misfits
from sweep.plan.missing import file_of_choice, missing_values, texts_of
from sweep.plan.overrides import in_hydras_grammar, parse, quoted, typed_line

LISTS = {"evaluation"}  # groups that take several choices at once: each file has a package of its own
SHOWN_AXES = {"model": "model.name", "reward": "reward.name", "seed": "seed"}


@dataclass(frozen=True)
class Composition:
    """A configuration and its point of the cross product; `typed`: every key that was given a value."""

    config: CellConfig
    axes: dict[str, str]
    typed: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The values of the axes in one line."""
        return _label(self.axes)


def compose_cells(overrides: Sequence[str], config_dir: str | None = None) -> list[Composition]:
    """Return every cell of the sweep that `overrides` describe, in the order of the axes.

    Args:
        overrides: Hydra overrides; `key=a,b`, `range()`, `choice()` and `glob()` make axes. Axes that an experiment
            file sets in `hydra.sweeper.params` are added; the command line wins.
        config_dir: a directory of the user's own groups, beside the project's (Hydra's `--config-dir`).
    Raises:
        UserError: anything that does not compose or validate; all faulty cells are named.
    """
    with configuration_files(config_dir) as loader, explained():
        choices, groups = _read(overrides, loader)
        axes = [key for key, lines in choices.items() if len(lines) > 1]
        return _validate(_cross(choices, groups, loader), axes, groups)


def compose_first(overrides: Sequence[str], config_dir: str | None = None) -> tuple[list[str], DictConfig]:
    """Return the first cell's override lines in Hydra's own grammar, and its configuration as its files write it.

    The configuration is neither resolved nor validated.

    Raises:
        UserError: it does not compose.
    """
    with configuration_files(config_dir) as loader, explained():
        choices, groups = _read(overrides, loader)
        first = {key: lines[0] for key, lines in choices.items()}
        base = _base(tuple(line for key, line in first.items() if key in groups), (), loader)
        config = base.override(line for key, line in first.items() if key not in groups)
        typed = [_choice(line) if key in groups else in_hydras_grammar(line) for key, line in first.items()]
        return typed, config


@contextmanager
def explained() -> Iterator[None]:
    """Raise an error of Hydra as a UserError with a message for people."""
    try:
        yield
    except HydraException as error:
        raise UserError(explain_hydra(error)) from error


def _read(overrides: Sequence[str], loader: ConfigLoaderImpl) -> tuple[dict[str, list[str]], set[str]]:
    """Return for each key the override lines that it takes in turn; and which of the keys are groups."""
    parsed = [parse(line, loader) for line in overrides]
    given = [o for o in parsed if o.key_or_group != "experiment" or o.value() is not None]  # null: none, as it is
    choices = _choices(_with_experiment_axes(with_choice(given, loader), loader))
    # Hydra takes 10 ms to look a group up, and a dotted key is none: its groups are directories.
    named = {key: _group_name(key) for key in choices if "." not in _group_name(key)}
    groups = {key for key, group in named.items() if loader.get_group_options(group, config_name="config")}
    _refuse_lists_of_choices(given, groups)
    for line in (line for key in groups for line in choices[key] if not line.startswith("~")):
        if _parsed(line).value() is None:
            group = _group_name(line.partition("=")[0])
            there = ", ".join(loader.get_group_options(group, config_name="config"))
            raise UserError(f"{line}: {group} takes the name of a choice; there are: {there}")
    return choices, groups


def _with_experiment_axes(given: list[Override], loader: ConfigLoaderImpl) -> list[Override]:
    """Put the axes of the chosen experiment before the overrides, unless those set the same key."""
    chosen = [o for o in given if o.key_or_group == "experiment"]
    if any(o.is_sweep_override() for o in chosen):
        raise UserError(f"{typed_line(chosen[-1])}: an experiment brings its own axes; launch one at a time")
    files = [_choice(typed_line(o)) for o in given if o.key_or_group in ("experiment", GROUP)]
    config = compose("config", overrides=files, return_hydra_config=True)
    params = config.hydra.sweeper.params or {}
    typed = {o.key_or_group for o in given}
    return [parse(f"{k}={v}", loader) for k, v in params.items() if k not in typed] + given


def _choices(overrides: list[Override]) -> dict[str, list[str]]:
    """Return for each key the override lines that it takes. If a key is typed twice, the last one counts."""
    choices: dict[str, list[str]] = {}
    for override in overrides:
        key = typed_line(override).partition("=")[0]
        if override.is_sweep_override() and key.lstrip("+~").startswith("cluster.env"):  # a label would show its values
            raise UserError(f"{key}: one sweep has one environment; quote a value with a comma: '{key}=\"{HIDDEN}\"'")
        if not override.is_sweep_override():
            choices[key] = [typed_line(override)]
        elif override.is_discrete_sweep():
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            if not choices[key]:
                raise UserError(f"{typed_line(override)}: stands for no value at all")
            if twice := [line for line, times in Counter(choices[key]).items() if times > 1]:
                raise UserError(
                    f"{typed_line(override)}: {', '.join(twice)} stands there more than once; leave one out"
                )
        else:
            raise UserError(f"{typed_line(override)}: interval() has no end; give a list or range(start, stop, step)")
    return choices


def _refuse_lists_of_choices(given: list[Override], groups: set[str]) -> None:
    """Refuse a list of choices for a group, because Hydra would silently take the last one."""
    for override in given:
        key, value = override.key_or_group, override.value()
        if key in groups and isinstance(value, list) and _group_name(key) not in LISTS:
            choices = ",".join(map(str, value))
            raise UserError(f"{typed_line(override)}: {key} takes one choice; to sweep write {key}={choices}")


def _choice(line: str) -> str:
    """Return the line of a group's choice as Hydra takes it: a file name that looks like a number needs quotes."""
    key, _, typed = line.partition("=")
    value = _parsed(line).value()
    if line.startswith("~") or isinstance(value, dict | list):
        return line
    return f"{key}={quoted(value if isinstance(value, str) else typed.strip())}"


def _text_of(line: str) -> str:
    """Return the value of an override as it is shown: without the quotes and escapes of Hydra's grammar."""
    value = _parsed(line).value()
    return value if isinstance(value, str) else line.partition("=")[2]


def _label(axes: dict[str, str]) -> str:
    return " ".join(f"{k}={v}" for k, v in axes.items())


def _group_name(key: str) -> str:
    return key.lstrip("+~").partition("@")[0]


def _cross(
    choices: dict[str, list[str]], groups: set[str], loader: ConfigLoaderImpl
) -> Iterator[tuple[dict[str, str], DictConfig | dict]]:
    """Yield (override lines, config) for each point, composing once per distinct choice of groups."""
    composed: dict[tuple[str, ...], _Base] = {}
    for lines in itertools.product(*choices.values()):
        of_groups = tuple(line for key, line in zip(choices, lines, strict=True) if key in groups)
        of_values = [line for key, line in zip(choices, lines, strict=True) if key not in groups]
        if of_groups not in composed:
            composed[of_groups] = _base(of_groups, choices.keys() - groups, loader)
        yield dict(zip(choices, lines, strict=True)), composed[of_groups].with_values(of_values)


def _base(of_groups: tuple[str, ...], keys: Iterable[str], loader: ConfigLoaderImpl) -> _Base:
    composed = compose("config", overrides=list(map(_choice, of_groups)))
    return _Base(without_misfits(composed, of_groups, loader), keys)


class _Base:
    """The composition of one choice of groups, to which values are applied.

    Hydra takes some 25 ms a point to copy, override and resolve a configuration. If a value is plain and no
    interpolation can refer to its key, setting it in a copy of the resolved configuration gives the same result in
    microseconds.

    For example, a file says `learning_rate: ${model.learning_rate}`, and this is the only interpolation. Its words are
    `model` and `learning_rate`. `model.learning_rate=1e-6,2e-6` shares a word with it, so Hydra resolves the
    configuration for each of the two values, once. `seed=1,2` shares none, so it is set in a copy of what was resolved.
    Where `rollout` and `rollout.temperature` are both typed, the one holds the other, and Hydra resolves both.
    """

    def __init__(self, config: DictConfig, keys: Iterable[str]) -> None:
        OmegaConf.set_struct(config, False)  # the schema decides which keys exist, not the files that set them
        self._config = config
        interpolations = [v for _, v in texts_of(OmegaConf.to_container(config, resolve=False)) if "${" in v]
        seen = set(re.findall(r"\w+", " ".join(interpolations)))
        parts = {key: key.split(".") for key in keys}
        self._independent = {
            key
            for key, path in parts.items()
            if not seen & set(path)
            and not any(key != k and (path[: len(p)] == p or p[: len(path)] == path) for k, p in parts.items())
        }
        self._resolved: dict[tuple[str, ...], dict | None] = {}

    def with_values(self, lines: list[str]) -> DictConfig | dict:
        """Return the configuration with the overrides `lines`; resolved, if that could be done without Hydra."""
        overrides = [_parsed(line) for line in lines]
        plain = [o for o in overrides if self._is_plain(o)]
        others = tuple(typed_line(o) for o in overrides if o not in plain)
        if others not in self._resolved:
            self._resolved[others] = self._resolve(others)
        resolved = self._resolved[others]
        for override in plain:
            if resolved is None:
                break
            resolved = _with_value(resolved, override)
        return self.override(lines) if resolved is None else resolved

    def _is_plain(self, override: Override) -> bool:
        simple = override.key_or_group in self._independent and override.type is OverrideType.CHANGE
        return simple and "${" not in str(override.value()) and not isinstance(override.value(), dict)

    def override(self, lines: Iterable[str]) -> DictConfig:
        """Return a copy with the overrides `lines`, not resolved."""
        config = copy.deepcopy(self._config)
        ConfigLoaderImpl._apply_overrides_to_config([_parsed(line) for line in lines], config)
        return config

    def _resolve(self, lines: tuple[str, ...]) -> dict | None:
        """Return the resolved configuration; None if a value is missing or wrong, which each point then reports."""
        config = self.override(lines)
        try:
            return None if OmegaConf.missing_keys(config) else cast(dict, OmegaConf.to_container(config, resolve=True))
        except OmegaConfBaseException:
            return None


@cache
def _parsed(line: str) -> Override:
    return parse(line)


def _with_value(config: dict, override: Override) -> dict | None:
    """Return a copy with the override's value, which shares with `config` all sections but those around the key.

    None if the key does not exist yet, or is a whole section: Hydra decides then how the value is applied.
    """
    changed = dict(config)
    *way, last = override.key_or_group.split(".")
    section: Any = changed
    for part in way:
        if not isinstance(section.get(part), dict):
            return None
        section[part] = dict(section[part])
        section = section[part]
    if last not in section or isinstance(section[last], dict):
        return None
    section[last] = override.value()
    return changed


def _validate(
    composed: Iterable[tuple[dict[str, str], DictConfig | dict]], axes: list[str], groups: set[str]
) -> list[Composition]:
    cells: list[Composition] = []
    faults: list[tuple[str, str]] = []
    typed: list[dict[str, str]] = []
    for lines, raw in composed:
        varied = {k.lstrip("+~"): _text_of(lines[k]) for k in axes}
        shown = {key: str(_select(raw, path)) for key, path in SHOWN_AXES.items()}
        point = {**shown, **{k: v for k, v in varied.items() if k not in shown}}
        try:
            if isinstance(raw, DictConfig):
                of_groups = [_choice(line) for key, line in lines.items() if key in groups]
                missing = missing_values(raw, partial(file_of_choice, of_groups))
                if missing:
                    faults.extend((_label(point), fault) for fault in missing)
                    continue
            resolved = OmegaConf.to_container(raw, resolve=True) if isinstance(raw, DictConfig) else raw
            config = CellConfig.model_validate(resolved)
            faults.extend((_label(point), fault) for fault in environment_faults(config))
            given = tuple(key.lstrip("+~") for key in lines)
            cells.append(Composition(config, {**point, "reward": config.reward.title}, given))
            typed.append(varied)
        except ValidationError as error:
            values = {key.lstrip("+"): line.partition("=")[2] for key, line in lines.items()}
            faults.extend((_label(point), fault) for fault in explain_validation(error, values))
        except OmegaConfBaseException as error:
            faults.append((_label(point), f"{error.full_key or ''}: {str(error).splitlines()[0]}"))
    if faults:
        raise UserError("\n".join(say_once(faults)))
    return _told_apart(cells, typed)


def _told_apart(cells: list[Composition], typed: list[dict[str, str]]) -> list[Composition]:
    """If several files set the same `name`, label their cells with the file names.

    Otherwise the comparison, which pools cells that have the same axes but for the seed, would pool them.
    """
    for key in SHOWN_AXES:
        choices: dict[str, set[str]] = {}
        for cell, varied in zip(cells, typed, strict=True):
            choices.setdefault(cell.axes[key], set()).add(varied.get(key, ""))
        cells = [
            replace(cell, axes={**cell.axes, key: varied[key]}) if len(choices[cell.axes[key]]) > 1 else cell
            for cell, varied in zip(cells, typed, strict=True)
        ]
    return cells


def _select(config: DictConfig | dict, path: str) -> Any:
    if isinstance(config, DictConfig):
        return OmegaConf.select(config, path, default="?")
    found: Any = config
    for part in path.split("."):
        found = found.get(part, "?") if isinstance(found, dict) else "?"
    return found
