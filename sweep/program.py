"""The command lines that call this project's programs, for messages that suggest a command."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

INSTALLED = "rlvr-sweep"
ROOT = Path(__file__).resolve().parents[1]


def program() -> str:
    """Return the words before the name of a command, such as `status`."""
    if _is_installed():
        return INSTALLED
    # Outside the project's directory, Python finds no module `sweep`.
    return "python -m sweep" if Path.cwd() == ROOT else f"python {shlex.quote(str(ROOT / 'sweep'))}"


def launcher() -> str:
    """Return the words before the overrides of a launch."""
    if _is_installed():
        return f"{INSTALLED} launch"
    return "python launch.py" if Path.cwd() == ROOT else f"python {shlex.quote(str(ROOT / 'launch.py'))}"


def _is_installed() -> bool:
    """Return True if this process was started by the installed program's name."""
    return Path(sys.argv[0]).name == INSTALLED
