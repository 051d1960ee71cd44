"""The commands take what people type, and say what they did and what they would not do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import launch
from helpers.constants import ROOT
from rewards.custom import FunctionSource, call, locate
from sweep.__main__ import main
from sweep.config.cell import CellConfig
from sweep.dispatch.export import find_cell
from sweep.dispatch.manage import _change
from sweep.dispatch.view import suggested
from sweep.errors import UserError
from sweep.plan.compose import compose_cells
from sweep.plan.plan import plan_sweep
from sweep.run.names import LONGEST, short_name


@pytest.fixture
def problems(tmp_path) -> Path:
    file = tmp_path / "lr=1 (a)" / "problems.jsonl"
    file.parent.mkdir()
    file.write_text("".join(json.dumps({"prompt": f"{i}+1", "answer": f"{i + 1}"}) + "\n" for i in range(40)))
    return file


def test_problems_of_ones_own_fit_the_model_unless_lengths_are_typed(problems, tmp_path):
    def lengths(*overrides: str) -> tuple[int, int]:
        (cell,) = plan_sweep(["data=jsonl", f"data.path={problems}", f"output_dir={tmp_path}", *overrides]).cells
        return cell.config.rollout.max_prompt_tokens, cell.config.rollout.max_response_tokens

    assert lengths() == (32, 96)
    assert lengths("model.context=80", "rollout.max_response_tokens=10") == (20, 10)
    weights = ["model.mini=null", "model.path=org/name"]
    assert lengths(*weights, "model.context=4096") == lengths(*weights, "model.context=131072") == (1024, 3072)
    with pytest.raises(
        UserError, match=r"rollout.max_response_tokens=100 exceed model.context=128; lower one of them by 4"
    ):
        lengths("rollout.max_response_tokens=100")


def test_a_retry_takes_text_as_it_is_typed():
    (cell,) = compose_cells(["cluster=slurm"])
    changed = _change(["cluster.account=007", "cluster.constraint=a100&ib"])(cell.config).cluster
    assert (changed.account, changed.constraint) == ("007", "a100&ib")
    with pytest.raises(UserError, match="a retry takes one value"):
        _change(["resources.hours=1,2"])(cell.config)


def test_plan_says_the_lengths(problems, capsys):
    assert main(["plan", "data=jsonl", f"data.path={problems}"]) == 0
    assert re.search(r"prompt \+ response +│ +32 \+ 96 tokens", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("written", "positions"),
    [
        ({"max_position_embeddings": 256}, 256),
        ({"max_position_embeddings": 64, "rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 64}}, 256),
    ],
)
def test_a_context_beyond_the_models_positions_is_refused(tmp_path, written, positions):
    (tmp_path / "config.json").write_text(json.dumps(written))
    place = ["model.mini=null", f"model.path={tmp_path}"]
    with pytest.raises(UserError) as caught:
        plan_sweep([*place, "model.context=4096"])
    assert f"model.context=4096: the positions of {tmp_path} (config.json) end at {positions}" in str(caught.value)
    assert f"set model.context={positions}" in str(caught.value)
    assert plan_sweep([*place, f"model.context={positions}"]).cells


@pytest.mark.parametrize("typed", [["output_dir={}"], ["--output-dir", "{}"], ["--output-dir={}"]])
@pytest.mark.parametrize("name", ["R", "R 1", "lr=1 (a)"])
def test_every_command_takes_the_output_directory_both_ways(tmp_path, capsys, monkeypatch, typed, name):
    root = tmp_path / name
    (root / "sweeps" / "g").mkdir(parents=True)
    words = [word.format(root) for word in typed]
    assert main(["status", "g", *words]) == 0
    assert main(["gc", *words]) == 0
    capsys.readouterr()
    assert main(["plan", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cells"][0]["directory"].startswith(str(root))
    given = []
    monkeypatch.setattr(
        "sweep.dispatch.launch.launch", lambda overrides, _: given.append(compose_cells(overrides)) or 0
    )
    assert launch.main(["-m", "seed=0,1", *words]) == 0
    assert {cell.config.output_dir for (cells,) in [given] for cell in cells} == {str(root)}


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["plan", "--output-dir", "a", "output_dir=b"], "both name the output directory"),
        (["plan", "output_dir="], "output_dir='': is empty; name a directory"),
        (["plan", "output_dir=~nobody_by_that_name/x"], "there is no user of that name here"),
        (["status", "g", "output_dir="], "is empty; name a directory"),
        (
            ["status", "g", "output_dir=a,b"],
            "one value is wanted; quote it if the comma belongs to it: 'output_dir=\"a,b\"'",
        ),
        (["gc", "output_dir=/nowhere"], "/nowhere: no such directory; --output-dir names another"),
    ],
)
def test_output_directories_that_cannot_be_meant_are_refused(typed, words, capsys):
    assert main(typed) == 2
    assert words in capsys.readouterr().err


def test_suggestions_name_the_output_directory_that_was_typed(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "R 1" / "cells" / "left").mkdir(parents=True)
    assert main(["gc", "output_dir=R 1"]) == 0
    shown = capsys.readouterr().out
    anywhere = f"python {ROOT / 'sweep'}"  # no module `sweep` is found here
    assert f"`{anywhere} gc --yes --output-dir '{tmp_path}/R 1'` deletes them" in shown
    assert suggested("status g", tmp_path / "runs") == f"`{anywhere} status g`"
    monkeypatch.chdir(ROOT)
    assert suggested("status g", ROOT / "runs") == "`python -m sweep status g`"
    monkeypatch.chdir(tmp_path)
    assert main(["status", "g", "output_dir=R 1"]) == 2
    assert "--output-dir names another output directory" in capsys.readouterr().err


def test_a_name_of_a_directory_here_and_of_a_cell_is_ambiguous(tmp_path, monkeypatch):
    cell = tmp_path / "runs" / "cells" / "a-b-s0-0123456789ab"
    for directory in (cell, tmp_path / cell.name):
        directory.mkdir(parents=True)
        (directory / "config.yaml").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="give the whole path"):
        find_cell(tmp_path / "runs", cell.name)
    assert find_cell(tmp_path / "runs", "0123") == find_cell(tmp_path / "runs", str(cell)) == cell
    with pytest.raises(UserError, match="--output-dir names another"):
        find_cell(tmp_path / "elsewhere", "0123")


def test_plan_ends_as_the_launch_would(monkeypatch, capsys):
    assert main(["plan"]) == 0
    monkeypatch.setattr("sweep.plan.plan.machine_faults", lambda cells: ["no room"])
    assert main(["plan"]) == 2
    assert "a launch here would be refused: no room" in capsys.readouterr().out
    assert launch.main([]) == 2


def test_an_output_directory_on_a_disk_that_is_not_mounted(tmp_path, capsys):
    (tmp_path / "runs").symlink_to(tmp_path / "scratch" / "runs")
    for wanted in (tmp_path / "runs", tmp_path / "runs" / "mine"):
        assert main(["plan", f"output_dir={wanted}"]) == launch.main([f"output_dir={wanted}"]) == 2
        assert capsys.readouterr().err.count(f"output_dir={wanted}: {tmp_path / 'runs'} is a link to nothing") == 2


def test_plan_looks_at_the_output_directory(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    for wanted in (tmp_path / "file", tmp_path / "file" / "runs"):
        assert main(["plan", f"output_dir={wanted}"]) == launch.main([f"output_dir={wanted}"]) == 2
        assert capsys.readouterr().err.count(f"output_dir={wanted}: {tmp_path / 'file'} is a file") == 2
    monkeypatch.setattr("os.access", lambda *_: False)
    assert main(["plan", f"output_dir={tmp_path}"]) == 2
    assert f"output_dir={tmp_path}: {tmp_path} is not writable" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["--cfg", "job"], 0, "seed: 0", ""),
        (
            ["-m", "--cfg", "job", "seed=4,5", "name=1e5"],
            0,
            "name: 1e5\nseed: 4\n",
            "the first of 2 cells; `python -m sweep plan seed=4,5 name=1e5` shows all",
        ),
        (["--cfg", "job", "-p", "optimizer", "--resolve"], 0, "learning_rate: 5e-5", ""),
        (["--cfg", "job", "model=qwen2_min"], 2, "", "model=qwen2_min: no such model. Did you mean qwen2_mini"),
        (["--cfg", "job", "algorithm.clip_lw=1"], 2, "", "algorithm.clip_lw: no such key"),
        (["--cfg", "job", "data=jsonl"], 2, "path: ???", "data.path: has no default"),
        (["--cfg", "job", "-p", "optimzer"], 2, "", "--package optimzer: the configuration has no such section"),
        (["-m", "--cfg", "all", "model=qwen2_min"], 2, "", "no such model"),
        (["--config-name", "x"], 2, "", "there is one configuration"),
    ],
)
def test_a_configuration_is_shown_or_its_fault_is(arguments, code, out, err, capsys):
    assert launch.main(arguments) == code
    shown = capsys.readouterr()
    assert out in shown.out
    assert err in shown.err


def test_a_reward_of_many_parts_has_a_directory(tmp_path):
    parts = ",".join(["ground_truth", "format", "python", "no_python", "no_repetition", "constant", "random"] * 2)
    overrides = ["reward=all_of", f"reward.rewards=[{parts}]", f"output_dir={tmp_path}"]
    (cell,) = plan_sweep(overrides).cells
    cell.directory.mkdir(parents=True)
    (other,) = plan_sweep([*overrides, "reward.name=any_of"]).cells
    assert cell.directory.name != other.directory.name
    assert len(cell.directory.name) < 200
    assert CellConfig.model_validate(cell.config.model_dump() | {"name": plan_sweep(overrides).name})


def test_short_names_are_as_they_were_and_long_ones_differ():
    assert short_name("qwen2_mini-ground_truth_and_no_python", LONGEST) == "qwen2_mini-ground_truth_and_no_python"
    first, second = (short_name("a" * 300 + end, 64) for end in "xy")
    assert len(first) == len(second) == 64 and first != second
    assert re.fullmatch(r"custom_gr__e-[0-9a-f]{8}", short_name("custom_größe", 64))


OWN = """
import math

def nothing(group):
    pass

def text(group):
    return ["1" for _ in group]

def few(group):
    return [1.0]

def not_finite(group):
    return [math.inf for _ in group]

def raises(group):
    return [inner(r) for r in group]

def inner(response):
    return 1 / 0

def number(group):
    return 1.0

def booleans(group):
    return (True for _ in group)

def of_two(response, gold):
    return 1.0
"""


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("nothing", ["returned None", "line 4: def nothing(group):"]),
        ("text", ["returned '1' in it", "line 7: def text(group):"]),
        ("few", ["returned 1 rewards", "each of the 2 responses"]),
        ("not_finite", ["returned inf in it", "one finite number"]),
        ("raises", ["raised ZeroDivisionError: division by zero", "line 20: return 1 / 0"]),
        ("number", ["returned 1.0;"]),
        (
            "of_two",
            ["missing 1 required positional argument", "called with one argument, the list of", "own.py"],
        ),
    ],
)
def test_a_reward_of_ones_own_that_fails_is_named_with_file_and_line(tmp_path, monkeypatch, function, words):
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    target = f"own:{function}"
    with pytest.raises(ValueError) as caught:
        call(target, FunctionSource(**locate(target)), ["a", "b"])
    assert all(word in str(caught.value) for word in [f"reward.target={target}", str(tmp_path / "own.py"), *words])
    assert call("own:booleans", FunctionSource(**locate("own:booleans")), ["a", "b"]) == [1.0, 1.0]


def test_a_reward_of_ones_own_that_fails_is_refused_before_a_launch_unless_it_is_not_to_be_tried(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    typed = ["reward=custom", "reward.target=own:raises", f"output_dir={tmp_path / 'runs'}"]
    (obstacle,) = plan_sweep(typed).obstacles
    assert "ZeroDivisionError" in obstacle and f"{tmp_path / 'own.py'}" in obstacle and "line 20" in obstacle
    assert obstacle.endswith("; checks.try_rewards=false launches it untried")
    untried = plan_sweep([*typed, "checks.try_rewards=false"])
    assert untried.obstacles == [] and untried.cells[0].signature == plan_sweep(typed).cells[0].signature
