"""Rules for `cluster.env` as it is typed. The schema has none: a frozen configuration holds the names alone."""

from __future__ import annotations

import re

from sweep.config.cell import CellConfig, SlurmCluster

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # of a variable that a shell can export


def environment_faults(config: CellConfig) -> list[str]:
    """What no shell can export; empty where nothing is wrong."""
    env = config.cluster.env if isinstance(config.cluster, SlurmCluster) else {}
    faults = [
        f"cluster.env: {name!r} is no name of a variable; letters, digits and '_' only, no digit first"
        for name in env
        if not NAME.fullmatch(name)
    ]
    empty = [name for name, value in env.items() if value is None]
    return faults + [f"cluster.env.{name}: has no value; give it one, or leave it out" for name in empty]
