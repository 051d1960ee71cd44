"""Show the input of a launch instead of running it: `--cfg` and `--info`."""

from __future__ import annotations

from collections.abc import Sequence

import yaml
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweep.errors import HIDDEN, UserError
from sweep.plan.compose import compose_first
from sweep.plan.local import settings_that_count
from sweep.plan.plan import checked_cells


def first_configuration(
    overrides: Sequence[str], config_dir: str | None, package: str | None = None, resolve: bool = False
) -> str:
    """Return the first cell's configuration as YAML, as its files write it.

    Args:
        package: only this section, by its dotted key.
        resolve: whether values that others take are put in their places.
    Raises:
        UserError: it does not compose, does not resolve, or has no such section.
    """
    _, found = compose_first(overrides, config_dir)
    _hide_values(found, resolve)
    if package not in (None, "_global_"):
        found = OmegaConf.select(found, package)
        if found is None:
            raise UserError(f"--package {package}: the configuration has no such section")
    if not isinstance(found, Container):
        return str(found)
    try:
        values = OmegaConf.to_container(found, resolve=resolve)
    except OmegaConfBaseException as error:
        raise UserError(f"--resolve: {error.full_key}: {str(error).splitlines()[0]}") from None
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120).rstrip()


def _hide_values(config: DictConfig, resolve: bool) -> None:
    """Replace the values of `cluster.env`, because the output is often kept in a file; references stay as they are."""
    env = OmegaConf.select(config, "cluster.env")
    for name in map(str, env) if isinstance(env, DictConfig) else ():
        if resolve or not OmegaConf.is_interpolation(env, name):
            env[name] = HIDDEN


def check(overrides: Sequence[str], config_dir: str | None) -> tuple[int, list[str]]:
    """Refuse what a launch would refuse before it checks the machine.

    Returns:
        how many cells there are, and which settings of this machine count in them.

    Raises:
        UserError: a line for each fault.
    """
    cells, _ = checked_cells(overrides, config_dir)
    return len(cells), settings_that_count(overrides, config_dir, cells[0].config.cluster.kind)
