"""The direction of imports, and what may not be loaded on a login node."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from helpers.constants import ROOT
from models.family import families, load_family

# What each room may import of the project. On the submitting side dispatch → compare, plan → data → config, run. Inside
# a job stages → grpo, evaluate → rollout → job → run → config, with data and track beside them. Both sides import
# score.
LEAVES = {"sweep.__version__", "sweep.errors", "sweep.keyed", "sweep.program", "sweep.shown"}
MAY_IMPORT = {
    "models": set(),
    "rewards": set(),
    **{leaf: set() for leaf in LEAVES},
    "sweep.config": {"models", "rewards"},
    "sweep.run": {"sweep.config"},
    "sweep.job": {"sweep.run", "sweep.config"},
    "sweep.data": {"sweep.config", "models", "rewards"},
    "sweep.score": {"sweep.run"},
    "sweep.track": {"sweep.run", "sweep.config"},
    "sweep.rollout": {"sweep.run", "sweep.config", "models"},
    "sweep.grpo": {"sweep.rollout", "sweep.job", "sweep.run", "sweep.config", "models"},
    "sweep.evaluate": {
        "sweep.rollout", "sweep.data", "sweep.job", "sweep.score", "sweep.run", "sweep.config", "rewards", "models",
    },
    "sweep.stages": {
        "sweep.grpo", "sweep.evaluate", "sweep.rollout", "sweep.job", "sweep.data", "sweep.track", "sweep.score",
        "sweep.run", "sweep.config", "rewards", "models",
    },
    "sweep.plan": {"sweep.data", "sweep.run", "sweep.config", "models", "rewards"},
    "sweep.compare": {"sweep.score", "sweep.run", "sweep.config"},
    "sweep.dispatch": {
        "sweep.plan", "sweep.compare", "sweep.score", "sweep.data", "sweep.run", "sweep.config", "models", "rewards",
    },
    "sweep.doctor": {"sweep.dispatch", "sweep.plan", "sweep.run", "sweep.config", "models"},
    "sweep.commands": {
        "sweep.plan", "sweep.dispatch", "sweep.doctor", "sweep.compare", "sweep.track", "sweep.run", "sweep.config",
    },
    "sweep.__main__": {"sweep.plan", "sweep.commands", "sweep.run", "sweep.config"},
}  # fmt: skip
# Rooms that a login node loads: importing any of their modules loads none of HEAVY.
WITHOUT_TORCH = (
    "rewards", "sweep/config", "sweep/run", "sweep/data", "sweep/plan", "sweep/dispatch", "sweep/compare",
    "sweep/score", "sweep/doctor", "sweep/commands",
)  # fmt: skip
HEAVY = {"torch", "transformers", "deepspeed", "vllm"}
LONGEST_FILE, LONGEST_FUNCTION = 400, 50  # lines
FILES = sorted(f for p in ("models", "rewards", "sweep") for f in (ROOT / p).rglob("*.py"))
TESTS = ROOT / "tests"
TEST_MODULES = sorted(TESTS.rglob("test_*.py"))
# What pytest loads, and what people run by hand.
BESIDE_TESTS = {"conftest", "before", "on_a_gpu", "faults", "keep_sweep", "recordings", "same"}


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def part_of(module: str) -> str:
    words = module.split(".")
    return words[0] if words[0] != "sweep" or len(words) == 1 else ".".join(words[:2])


def project_imports(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "sweep":
            names |= {f"sweep.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {n for n in names if n.split(".")[0] in ("models", "rewards", "sweep")}


@pytest.mark.quick
@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_follow_the_arrows(file):
    part = part_of(name_of(file))
    imported = {part_of(name) for name in project_imports(ast.parse(file.read_text()))}
    allowed = MAY_IMPORT.get(part, set()) | {part} | (LEAVES if part.startswith("sweep.") else set())
    assert imported <= allowed, f"{part} may not import {imported - allowed}"


@pytest.mark.quick
def test_the_page_on_architecture_has_these_arrows():
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \|", (ROOT / "docs" / "architecture.md").read_text(), flags=re.M)
    shown = {room: set(re.findall(r"`([\w.]+)`", imported)) for room, imported in rows}
    assert shown == {room: allowed for room, allowed in MAY_IMPORT.items() if room not in LEAVES}


@pytest.mark.quick
def test_rooms_form_no_circle():
    tuple(TopologicalSorter(MAY_IMPORT).static_order())  # raises CycleError, which names the circle


@pytest.mark.quick
def test_modules_form_no_circle():
    modules = {name_of(file): file for file in FILES}
    graph = {name: imported_modules(file, modules) for name, file in modules.items()}
    tuple(TopologicalSorter(graph).static_order())


def imported_modules(file: Path, modules: dict[str, Path]) -> set[str]:
    """The project's modules that a module loads; `from package import module` counts as the module.

    What stands under `if TYPE_CHECKING` is not loaded: a reward made of rewards names their union there.
    """
    tree, found = ast.parse(file.read_text()), set()
    tree.body = [n for n in tree.body if not (isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (parts & set(modules)) or {node.module}
    return found & set(modules)


def test_no_room_of_a_login_node_loads_torch():
    names = [name_of(file) for file in FILES if str(file.relative_to(ROOT)).startswith(WITHOUT_TORCH)]
    code = f"import importlib, sys\nfor n in {names}: importlib.import_module(n)\nprint(*({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr + done.stdout


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


@pytest.mark.quick
def test_no_file_and_no_function_is_too_long():
    for file in FILES:
        text = file.read_text()
        assert len(text.splitlines()) <= LONGEST_FILE, file
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno - node.lineno < LONGEST_FUNCTION, f"{file}:{node.lineno} {node.name}"


@pytest.mark.quick
def test_helpers_stand_apart_from_tests():
    beside = {f.stem for f in (*TESTS.glob("*.py"), *TESTS.glob("slurm/*.py")) if f not in TEST_MODULES}
    assert beside == BESIDE_TESTS, "what tests share is in tests/helpers, what they start in tests/programs"
    assert not [f for f in TEST_MODULES if f.parent.name in ("helpers", "programs")]


def test_no_two_tests_have_one_name():
    assert len({f.name for f in TEST_MODULES}) == len(TEST_MODULES)


@pytest.mark.quick
def test_nothing_imports_a_test():
    """Neither a test nor a helper, a program or a command; fixtures of conftest.py are asked for by name."""
    tests = {"conftest", *(f.stem for f in TEST_MODULES)}
    for file in (*TESTS.rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")):
        assert not imported_names(ast.parse(file.read_text())) & tests, file


def imported_names(tree: ast.AST) -> set[str]:
    """Every word of the modules, and every name, that a module imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {*(node.module or "").split("."), *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {word for alias in node.names for word in alias.name.split(".")}
    return found


@pytest.mark.parametrize(
    "line",
    ["import test_plan", "from test_plan import sign", "from tests import conftest", "from conftest import ROOT"],
)
def test_imports_of_tests_are_seen(line):
    assert imported_names(ast.parse(line)) & {"conftest", "test_plan"}


@pytest.mark.parametrize("name", families())
def test_a_module_of_models_that_is_not_shared_is_a_family(name):
    """A new shared module that is missing from `models.family.SHARED` would be offered as a family."""
    module = load_family(name)
    assert isinstance(module.STOP_TOKENS, tuple) and isinstance(module.TURN_TEXTS, tuple)
