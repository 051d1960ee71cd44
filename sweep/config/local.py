"""The settings of this machine: the optional group `local`, for what nobody else's configuration needs.

`conf/local/default.yaml` counts where it is there, and git ignores it. Where the project is installed, and for a user
who does not own its directory, `~/.config/rlvr-sweep/local/default.yaml` counts in the same way.
"""

from __future__ import annotations

import os
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweep.config.as_written import read_mapping
from sweep.errors import UserError

GROUP, DEFAULT = "local", "default"
VARIABLE = "RLVR_SWEEP_LOCAL"  # its value counts as if `local=…` were typed
CONF = Path(__file__).resolve().parents[2] / "conf"


def groups_of_the_user() -> Path:
    """Return the directory of groups that every command of this user reads, whether or not it exists."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "rlvr-sweep"


def local_file() -> Path | None:
    """Return the file of settings that counts if nothing is typed; None if there is none."""
    name = os.environ.get(VARIABLE) or DEFAULT
    files = (place / GROUP / f"{name}.yaml" for place in (CONF, groups_of_the_user()))
    return next((file for file in files if file.is_file()), None)


def default_output_dir() -> Path:
    """Return the default output directory: the one in the settings of this machine, else `runs` in this directory.

    Raises:
        UserError: the settings cannot be read.
    """
    file = local_file()
    values = read_mapping(file)[0] if file else {}
    try:
        named = OmegaConf.select(OmegaConf.create(values), "output_dir") or "runs"
    except OmegaConfBaseException as error:
        raise UserError(f"{file}: output_dir: {str(error).splitlines()[0]}") from None
    return Path(os.path.expanduser(str(named))).absolute()
