"""PYTHONPATH for processes that start in another directory than the one in which a command was typed."""

from __future__ import annotations

import os
from pathlib import Path


def python_path(first: Path) -> str:
    """Return `first` and then the places of this shell, of which relative ones belong to the current directory."""
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return os.pathsep.join([str(first), *map(os.path.abspath, given)])
