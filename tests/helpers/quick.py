"""Which tests are quick, so that `make check` runs them: those that start no process, and plan no sweep.

A module is told by what it imports, itself or through a helper. A single test of another module may be marked
`@pytest.mark.quick` by hand.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

STARTERS = {"multiprocessing", "subprocess", "submitit"}
PLANNERS = {"sweep.__main__", "sweep.dispatch.launch", "sweep.plan.plan"}  # a plan takes some tenths of a second
LAUNCHERS = {"shell", "slurm"}  # fixtures that launch sweeps
HELPERS = Path(__file__).resolve().parent


def is_quick(item: pytest.Item) -> bool:
    """Whether a test's module imports nothing that takes long, and the test asks for no fixture that launches."""
    return not LAUNCHERS & set(item.fixturenames) and not takes_long(item.path)


@cache
def takes_long(file: Path) -> bool:
    """Whether a module imports what starts processes or plans sweeps, itself or through a helper."""
    imported = _imports(file)
    helpers = [HELPERS / f"{name.removeprefix('helpers.')}.py" for name in imported if name.startswith("helpers.")]
    return bool(imported & (STARTERS | PLANNERS)) or any(takes_long(helper) for helper in helpers if helper.is_file())


def _imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found
