"""The project as `pip install` lays it out, used from a directory whose names are those of the project's packages."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from helpers.constants import ROOT, TINY
from helpers.documented import bash_words, lines_of_blocks
from sweep import __version__
from sweep.run.provenance import code_hash, git_commit

CARRIED = ("conf", "models", "rewards", "sweep")
RAISES = 'raise RuntimeError("a file of the user was taken for one of the project")\n'


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this tree, in which someone has settings of their machine."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in CARRIED:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "local"))
    for name in ("launch.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    (source / "conf" / "local").mkdir()
    (source / "conf" / "local" / "default.yaml").write_text("steps: 3\n")
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check"]
    run(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", made, source, cwd=made)
    return next(made.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The directory of the programs of an environment that has the wheel, and for the rest what this one has."""
    place = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", place, cwd=place)
    packages = next(place.glob("lib/python*/site-packages"))
    (packages / "base.pth").write_text(sysconfig.get_path("purelib"))
    options = ["--quiet", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check"]
    run(sys.executable, "-m", "pip", "--python", place / "bin/python", "install", *options, wheel, cwd=place)
    return place / "bin"


@pytest.fixture
def foreign(tmp_path) -> Path:
    """A directory of a project of the user's own, with packages, modules and groups called like ours."""
    place = tmp_path / "own work"
    for name in CARRIED:
        (place / name).mkdir(parents=True)
        (place / name / "__init__.py").write_text(RAISES)
        (place / f"{name}.py").write_text(RAISES)
    (place / "launch.py").write_text(RAISES)
    (place / "conf" / "config.yaml").write_text("steps: no number\n")
    (place / "rewards" / "mine.py").write_text("def score(group):\n    return [float(len(r.text)) for r in group]\n")
    problems = [{"prompt": f"{i} + 1", "answer": str(i + 1)} for i in range(60)]
    (place / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in problems))
    return place


def run(*command, cwd: Path, **environment: str) -> str:
    """What a command prints; it must end well."""
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_wheel_holds_what_the_tree_holds_and_nothing_of_the_machine(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name.partition("/")[2] for name in archive.namelist() if name.startswith("rlvr_sweep/")}
        names = {name.partition("/")[0] for name in archive.namelist()}
    assert len(names) == 2 and "rlvr_sweep" in names  # and what pip knows of it
    files = (file for name in CARRIED for file in (ROOT / name).rglob("*") if file.is_file())
    there = {file.relative_to(ROOT) for file in files if file.suffix != ".pyc"}
    assert packed == {"launch.py", *(str(file) for file in there if file.parts[:2] != ("conf", "local"))}


def test_a_sweep_runs_where_it_is_installed(installed, foreign, cache_dir):
    """Without git, and although PYTHONPATH puts the user's packages before what is installed."""

    def typed(*words: str) -> str:
        return run(installed / "rlvr-sweep", *words, cwd=foreign, PYTHONPATH=".", PATH=str(installed))

    sizes = [*TINY, "steps=1", "data=jsonl", "data.path=problems.jsonl", f"cache_dir={cache_dir}"]
    more = {"plan": sizes, "launch": [*sizes, "reward=custom", "reward.target=rewards.mine:score"]}
    says = {"plan": "activations", "launch": f"runs in {foreign / 'runs'}", "--help": "launch"}
    says |= {"status": "custom_score seed=0  done  step 1/1", "compare": "rlvr-sweep launch -m"}
    install, *lines = [line for line in lines_of_blocks("docs/install.md") if line.startswith(("pip", "rlvr-sweep"))]
    assert install.startswith("pip install . ")
    for line in lines:
        command, *words = bash_words(line, foreign)
        assert says[command] in typed(command, *words, *more.get(command, [])), line
    (made,) = (json.loads(file.read_text()) for file in foreign.glob("runs/cells/*/provenance.json"))
    assert (made["version"], made["code"], made["git"]) == (__version__, code_hash(), None)


@pytest.mark.parametrize(
    ("program", "path"),
    [([ROOT / "launch.py", "--cfg", "job"], ""), ([ROOT / "sweep", "plan"], ""), (["-m", "sweep", "plan"], str(ROOT))],
)
def test_the_project_is_meant_wherever_it_is_called_from(program, path, foreign):
    if "-m" in program:  # with which Python itself takes a package of the current directory first
        shutil.rmtree(foreign / "sweep")
        (foreign / "sweep.py").unlink()
    words = ["reward=custom", "reward.target=rewards.mine:score", "checks.try_rewards=true", *TINY]
    assert "custom" in run(sys.executable, *program, *words, cwd=foreign, PYTHONPATH=f"{path}:.".lstrip(":"))


def test_the_commit_is_of_the_repository_that_has_the_code_and_of_no_other(tmp_path, monkeypatch):
    place = tmp_path / "environment"
    for name in ("sweep", "models", "rewards"):
        (place / name).mkdir(parents=True)
        (place / name / "__init__.py").touch()
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b"]
    run(*git, "init", "--quiet", cwd=tmp_path)
    run(*git, "commit", "--quiet", "--allow-empty", "-m", "another project", cwd=tmp_path)
    assert git_commit(place) is None
    run(*git, "add", ".", cwd=tmp_path)
    run(*git, "commit", "--quiet", "-m", "with the code", cwd=tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", git_commit(place))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(place) is None  # there is no git
