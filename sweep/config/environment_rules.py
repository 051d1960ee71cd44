"""Rules for `cluster.env` as it is typed.

The schema cannot have them, because a frozen configuration holds the names of the variables without their values.
"""

from __future__ import annotations

import re

from sweep.config.cell import CellConfig

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # of a variable that a shell can export


def environment_faults(config: CellConfig) -> list[str]:
    """Return a message for each variable that a shell cannot export; the list is empty where it can export all."""
    env = config.cluster.env
    faults = [
        f"cluster.env: {name!r} is no name of a variable; letters, digits and '_' only, no digit first"
        for name in env
        if not NAME.fullmatch(name)
    ]
    empty = [name for name, value in env.items() if value is None]
    return faults + [f"cluster.env.{name}: has no value; give it one, or leave it out" for name in empty]
