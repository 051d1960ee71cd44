"""Apply the settings of this machine to a sweep, and report which of them count.

`sweep.config.local` defines where the settings are stored.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.default_element import ConfigDefault
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf, open_dict

from sweep.config.local import DEFAULT, GROUP, VARIABLE
from sweep.errors import UserError
from sweep.plan.files import configuration_files
from sweep.plan.overrides import fields_at, parse, quoted, typed_line

ENTRY = f"{GROUP}@_global_"  # its name in conf/config.yaml: the settings may set any key of the configuration


def with_choice(given: Sequence[Override], loader: ConfigLoaderImpl) -> list[Override]:
    """Return the overrides with the one choice of `local` that counts, if there are settings to choose from.

    Raises:
        UserError: there are no settings of the name that is typed, or that the variable of the shell holds.
    """
    typed = [o for o in given if o.key_or_group == GROUP]
    others = [o for o in given if o.key_or_group != GROUP]
    there = loader.get_group_options(GROUP, config_name="config")
    named = os.environ.get(VARIABLE)
    chosen = typed[-1] if typed else parse(f"{GROUP}={named or DEFAULT}")
    if chosen.is_sweep_override():
        raise UserError(f"{chosen.input_line}: one sweep has one choice of settings; launch one at a time")
    if chosen.value() is None:  # typed as null, or left out with ~
        return [parse(f"~{ENTRY}"), *others] if there else others
    name = str(chosen.value())
    if name in there:
        return [parse(f"{ENTRY}={quoted(name)}"), *others]
    if not typed and not named:
        return others
    origin = chosen.input_line if typed else f"{VARIABLE}={name}"
    raise UserError(f"{origin}: there are no such settings of this machine; there are: {', '.join(there) or 'none'}")


def without_misfits(config: DictConfig, of_groups: Iterable[str], loader: ConfigLoaderImpl) -> DictConfig:
    """Return a composition without settings of `cluster` that only another kind of cluster takes.

    One file serves launches here and on Slurm: a partition in it does not hinder `cluster=local`.

    Args:
        of_groups: the override lines that choose groups.
    """
    if (found := _settings(of_groups, loader)) is None:
        return config
    keys = _misfits(_keys_in(found[1]), str(OmegaConf.select(config, "cluster.kind")))
    with open_dict(config):
        for name in {key.split(".")[1] for key in keys}:
            config.cluster.pop(name, None)
    return config


def settings_that_count(overrides: Sequence[str], config_dir: str | None, kind: str) -> list[str]:
    """Return lines that say which settings of this machine count and which do not; none if there are none.

    Args:
        overrides: what is typed for the sweep, which wins, as an experiment does.
        kind: the kind of the sweep's cluster.
    """
    with configuration_files(config_dir) as loader:
        given = with_choice([parse(line, loader) for line in overrides], loader)
        if (found := _settings([typed_line(o) for o in given], loader)) is None:
            return []
        file, settings = found
        stronger = [o.key_or_group for o in given if not _is_choice(o, loader)]
        for experiment in (o.value() for o in given if o.key_or_group == "experiment" and o.value()):
            stronger += _keys_of_experiment(loader, str(experiment))
    keys = [key for key in _keys_in(settings) if not any(f"{key}.".startswith(f"{other}.") for other in stronger)]
    misfits = _misfits(keys, kind)
    typed = [o.key_or_group for o in given]
    defaults: list[Any] = settings.defaults_list or []
    chosen = {d.group.lstrip("/"): d.value for d in defaults if d.is_override()}
    choices = [f"{group}={value}" for group, value in chosen.items() if group not in typed]
    said = []
    if counting := [*choices, *(key for key in keys if key not in misfits)]:
        said = [f"settings of this machine count, from {file}: {', '.join(counting)}; local=null leaves them out"]
    if misfits:
        why = f"because a cluster of the kind {kind} takes no such keys"
        said.append(f"settings of this machine do not count, from {file}: {', '.join(misfits)}, {why}")
    return said


def _is_choice(override: Override, loader: ConfigLoaderImpl) -> bool:
    """Return whether an override chooses a file of a group rather than sets a value.

    The settings are applied on top of a chosen file.
    """
    is_group = "." not in override.key_or_group and loader.get_group_options(override.key_or_group)
    return bool(is_group) and not isinstance(override.value(), dict)


def _settings(of_groups: Iterable[str], loader: ConfigLoaderImpl) -> tuple[str, ConfigResult] | None:
    """Return the chosen settings: the path of their file, and its content."""
    for line in of_groups:
        if line.startswith(f"{ENTRY}="):
            name = parse(line).value()
            found = _loaded(loader, f"{GROUP}/{name}")
            return f"{found.path.partition('://')[2]}/{GROUP}/{name}.yaml", found
    return None


def _loaded(loader: ConfigLoaderImpl, name: str) -> ConfigResult:
    """Return a file that was composed with, so that it exists."""
    found = loader.repository.load_config(name)
    assert found is not None
    return found


def _keys_of_experiment(loader: ConfigLoaderImpl, name: str) -> list[str]:
    """Return the dotted keys that an experiment sets, itself or in the experiments that it begins with."""
    file = _loaded(loader, f"experiment/{name}")
    defaults: list[Any] = file.defaults_list or []
    of_files = [default for default in defaults if isinstance(default, ConfigDefault) and not default.is_self()]
    bases = [str(default.path) for default in of_files]
    return [*_keys_in(file), *(key for base in bases for key in _keys_of_experiment(loader, base))]


def _keys_in(file: ConfigResult) -> list[str]:
    """Return the dotted keys that a file sets; its list of defaults is not one of them."""
    return list(_dotted(OmegaConf.to_container(file.config, resolve=False)))


def _dotted(values: Any, prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _misfits(keys: Iterable[str], kind: str) -> list[str]:
    """Return those keys of `cluster` that a cluster of this kind does not take, and another kind does."""
    takes = {
        name: set(cluster.model_fields)
        for cluster in fields_at(["cluster"])
        for name in get_args(cluster.model_fields["kind"].annotation)
    }
    of_others = set().union(*takes.values()) - takes.get(kind, set())
    return [key for key in keys if key.startswith("cluster.") and key.split(".")[1] in of_others]
