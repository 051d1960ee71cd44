"""The direction of imports, and what may not be loaded on a login node."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

# What each part may import of the project. Inside a job: stages → grpo, evaluate → rollout, data, track → run, rewards,
# models. On the submitting side: dispatch → compare, plan → data, run.
MAY_IMPORT = {
    "models": {"models"},
    "rewards": {"rewards"},
    "sweep.errors": set(),
    "sweep.run": {"sweep.errors", "models", "rewards"},
    "sweep.data": {"sweep.errors", "sweep.run", "models", "rewards"},
    "sweep.track": {"sweep.errors", "sweep.run"},
    "sweep.rollout": {"sweep.run", "models"},
    "sweep.grpo": {"sweep.rollout", "sweep.run", "models"},
    "sweep.evaluate": {"sweep.rollout", "sweep.data", "sweep.run", "rewards", "models"},
    "sweep.stages": {
        "sweep.errors", "sweep.grpo", "sweep.evaluate", "sweep.rollout", "sweep.data", "sweep.track", "sweep.run",
        "rewards", "models",
    },
    "sweep.plan": {"sweep.errors", "sweep.run", "sweep.data", "models", "rewards"},
    "sweep.compare": {"sweep.errors", "sweep.run"},
    "sweep.dispatch": {"sweep.errors", "sweep.plan", "sweep.run", "sweep.compare", "sweep.data", "models"},
    "sweep.commands": {"sweep.errors", "sweep.plan", "sweep.dispatch", "sweep.compare", "sweep.track", "sweep.run"},
    "sweep.__main__": {"sweep.errors", "sweep.plan", "sweep.commands", "sweep.run"},
}  # fmt: skip
FILES = sorted(f for p in ("models", "rewards", "sweep") for f in (ROOT / p).rglob("*.py"))


def part_of(module: str) -> str:
    words = module.split(".")
    return words[0] if words[0] != "sweep" or len(words) == 1 else ".".join(words[:2])


def project_imports(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {n for n in names if n.split(".")[0] in ("models", "rewards", "sweep")}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_follow_the_arrows(file):
    part = part_of(".".join(file.relative_to(ROOT).with_suffix("").parts))
    imported = {part_of(name) for name in project_imports(ast.parse(file.read_text()))}
    allowed = MAY_IMPORT.get(part, set()) | {part}
    assert imported <= allowed, f"{part} may not import {imported - allowed}"


@pytest.mark.parametrize("program", [["launch.py"], ["-m", "sweep"], ["-m", "sweep", "plan"]])
def test_help_loads_nothing_heavy(program):
    code = (
        "import runpy, sys; sys.argv = [sys.argv[1], *sys.argv[2:], '--help'] if sys.argv[1] != '-m' else sys.argv[2:]"
        " + ['--help']\n"
        "try:\n"
        "    runpy.run_path('launch.py', run_name='__main__') if sys.argv[0] == 'launch.py' else"
        " runpy.run_module('sweep', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "heavy = {'torch', 'transformers', 'deepspeed', 'wandb', 'datasets', 'sympy', 'math_verify', 'matplotlib'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "help" in done.stdout


def test_no_file_is_too_long():
    long = {f: n for f in FILES if (n := len(f.read_text().splitlines())) > 400}
    assert not long
