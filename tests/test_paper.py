"""The paper's experiments: each file opens with its command and its number of cells, and plans as it says."""

from __future__ import annotations

import re
import sys
from functools import cache

import pytest

import launch
from helpers.constants import ROOT
from helpers.documented import bash_words, commands
from sweep.errors import UserError
from sweep.plan.compose import compose_cells
from sweep.plan.files import CONF
from sweep.plan.plan import Plan, plan_sweep

PAGE = "docs/paper.md"
FILES = sorted((CONF / "experiment" / "paper").glob("*.yaml"))
ROW = re.compile(r"\| `python launch\.py (?:-m )?experiment=(paper/\w+)` \| (\d+) \|")


def shown() -> list[str]:
    """The page's commands that launch or plan a sweep, without their remarks."""
    found = commands("python launch.py", "python -m sweep plan", pages=[PAGE])
    return sorted({command.partition("  #")[0].strip() for command in found})


def stated_cells(name: str) -> int:
    third = (CONF / "experiment" / f"{name}.yaml").read_text().splitlines()[2]
    return int(re.fullmatch(r"# (\d+) cells?\. On a laptop first:", third).group(1))


@cache
def planned(name: str) -> Plan:
    """The sweep of a file, as it is launched on a cluster."""
    return plan_sweep([f"experiment=paper/{name}", "cluster=slurm", "output_dir=nowhere"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_opens_with_its_command_and_its_cells(file):
    package, command, third, on_a_laptop = file.read_text().splitlines()[:4]
    name = f"paper/{file.stem}"
    cells = stated_cells(name)
    launched = f"# python launch.py {'-m ' if cells > 1 else ''}experiment={name}"
    assert package == "# @package _global_" and command == launched
    assert third == f"# {cells} cell{'s' if cells > 1 else ''}. On a laptop first:"
    assert on_a_laptop.startswith(f"{launched} model=qwen2_mini")
    plan = planned(file.stem)
    assert len(plan.cells) == cells and re.fullmatch(r"paper-[a-z-]+", plan.name)
    for config in (cell.config for cell in plan.cells):
        assert (config.algorithm.name, config.algorithm.prompts_per_step, config.steps) == ("paper", 64, 300)
        assert list(config.evaluation.benchmarks) == ["math500", "aime24", "aime25", "amc83"]
        assert config.data.name == ("one_shot" if file.stem == "one_shot" else "deepscaler")
        assert config.optimizer.learning_rate == 5e-7 and config.algorithm.kl_coefficient == 0
        assert config.rollout.name == "auto"  # whose memory is planned for vLLM, where a node has GPUs


def test_the_page_names_every_file_with_its_cells():
    rows = dict(ROW.findall((ROOT / PAGE).read_text()))
    assert {name: int(cells) for name, cells in rows.items()} == {
        name: stated_cells(name) for name in (f"paper/{file.stem}" for file in FILES)
    }


@pytest.mark.parametrize("command", [c for c in shown() if "paper/" not in c or " " in c.partition("paper/")[2]])
def test_what_the_page_types_beside_an_experiment_composes(command, tmp_path):
    """The commands that name an experiment and nothing else are those of the files."""
    words = [word for word in bash_words(command, tmp_path) if "=" in word]
    assert compose_cells(words)


def test_cells_of_several_files_are_one_run():
    def signatures(name: str) -> set[str]:
        return {cell.signature for cell in planned(name).cells}

    assert signatures("rewards") < signatures("families")
    assert len(signatures("random") & signatures("rewards")) == 1  # the probability of 0.5
    assert len(signatures("clipping") & signatures("rewards")) == 1  # what clips on both sides
    assert len(signatures("labels") & signatures("rewards")) == 2  # the votes of equal answers
    assert signatures("clipping").isdisjoint(signatures("clipping_switch"))


def test_what_is_typed_wins_over_a_file():
    typed = "experiment=paper/setup evaluation.every=7 steps=9 algorithm=grpo data=one_shot"
    (cell,) = compose_cells(typed.split())
    assert {benchmark.every for benchmark in cell.config.evaluation.benchmarks.values()} == {7}
    assert (cell.config.steps, cell.config.algorithm.name, cell.config.data.name) == (9, "grpo", "one_shot")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("experiment=paper/rewrds", "experiment=paper/rewrds: no such experiment. Did you mean paper/rewards"),
        ("experiment=rewards", "experiment=rewards: no such experiment. Did you mean paper/rewards?"),
        ("experiment=paper", "there are: controls, demo, paper/clipping,"),
        ("experiment/paper=rewards", "a choice in a directory of its group is written experiment=paper/…"),
        ("experiment=paper/rewards,demo", "an experiment brings its own axes; launch one at a time"),
    ],
)
def test_a_choice_in_a_directory_is_refused_as_others_are(typed, said):
    with pytest.raises(UserError) as refused:
        compose_cells([typed])
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("experiment=de", "experiment=demo"), ("experiment=paper/re", "experiment=paper/rewards")],
)
def test_a_choice_in_a_directory_is_completed(typed, completed, monkeypatch, capsys):
    monkeypatch.setenv("COMP_LINE", f"launch.py -m {typed}")
    monkeypatch.setattr(sys, "argv", ["launch.py"])
    assert launch.main(["--shell-completion", "query=bash"]) == 0
    assert capsys.readouterr().out.split() == [completed]


def test_a_file_in_a_directory_that_would_be_hidden_is_refused(tmp_path):
    own = tmp_path / "experiment" / "paper" / "rewards.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# @package _global_\nsteps: 3\n")
    with pytest.raises(UserError, match=r"there is a conf/experiment/paper/rewards\.yaml already"):
        compose_cells(["experiment=paper/rewards"], str(tmp_path))
