"""The paper's experiments on minis: the line of each file trains them, and the page's other commands run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from helpers.constants import TINY
from helpers.documented import bash_words, commands
from sweep.__main__ import main
from sweep.dispatch.launch import launch
from sweep.plan.files import CONF
from sweep.run.directory import RunDirectory
from sweep.run.ledger import read_sweep

FILES = sorted((CONF / "experiment" / "paper").glob("*.yaml"))
SMALLER = [*TINY, "steps=1", "evaluation.problems=4", "labels.samples=2", "cluster=inline"]
FEWER = {"families": ["reward=ground_truth,random"]}  # the other rewards are those of `rewards`
# Where the page asks published models; a mini has no room for longer prompts.
SMALL = {"evaluation=math500": "evaluation=mini", "irrelevant,python_prefix,none": "none"}
SAYS = {"compare": "reward", "labels": "label accuracy", "evaluate": "evaluations"}


@pytest.fixture(scope="module")
def root(tmp_path_factory, cache_dir) -> Path:
    """An output directory in which cells that several files have are trained once."""
    return tmp_path_factory.mktemp("paper")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_trains_minis_by_its_own_line(file, root, cache_dir):
    line = file.read_text().splitlines()[3].removeprefix("# python launch.py ").removeprefix("-m ")
    place = [f"output_dir={root}", f"cache_dir={cache_dir}"]
    assert launch([*shlex.split(line), *SMALLER, *FEWER.get(file.stem, []), *place]) == 0
    name = re.search(r"^name: (\S+)$", file.read_text(), flags=re.M).group(1)
    cells = read_sweep(root, name).cells
    assert cells and all(RunDirectory(root / cell.directory).read_result()["step"] == 1 for cell in cells)


ASKED = [command for command in commands("python -m sweep", pages=["docs/paper.md"]) if " plan " not in command]


@pytest.mark.parametrize("command", ASKED)
def test_what_the_page_asks_of_the_sweeps_runs(command, root, tmp_path, capsys):
    for large, small in SMALL.items():
        command = command.replace(large, small)
    words = bash_words(command, tmp_path)[2:]
    more = ["cluster=inline"] if words[0] == "evaluate" else []
    assert main([*words, *more, "--output-dir", str(root)]) == 0
    assert SAYS[words[0]] in capsys.readouterr().out
