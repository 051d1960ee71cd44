"""What people type means what it says, or is refused with what to type instead."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from hydra.core.override_parser.overrides_parser import OverridesParser

import launch
from rewards.custom import FunctionSource, call, locate
from sweep.__main__ import main
from sweep.dispatch.export import find_cell
from sweep.dispatch.manage import _change
from sweep.dispatch.view import suggested
from sweep.errors import UserError
from sweep.plan.compose import compose_cells
from sweep.plan.overrides import override, parse, quoted
from sweep.plan.plan import plan_sweep
from sweep.run.config import CellConfig
from sweep.run.names import LONGEST, short_name


def bash_word(typed: str) -> str:
    """The one word that bash makes of what was pasted."""
    done = subprocess.run(
        ["bash", "-O", "failglob", "-c", f"printf '%s\\0' {typed}"], capture_output=True, text=True, check=True
    )
    (word,) = done.stdout.split("\0")[:-1]
    return word


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("name=20251125", "20251125"),
        ("name=nan", "nan"),
        ("name=1e5", "1e5"),
        ("name=true", "true"),
        ("name=null", None),
        ("cluster.account=12345", "12345"),
        ("cluster.account=007", "007"),
        ("cluster.partition=1_0", "1_0"),
        ("model.revision=3e10", "3e10"),
        ("+model.revision=1.10", "1.10"),
        ("tracking.tags=[2025,1e3]", ["2025", "1e3"]),
        ("cluster.env={A:1.50,B:on}", {"A": "1.50", "B": "on"}),
        (
            "cluster.sbatch={time:24:00:00,exclusive:true,nodes:2}",
            {"time": "24:00:00", "exclusive": True, "nodes": "2"},
        ),
        ("data.only={question: 1+1, answer: 2e3}", {"question": "1+1", "answer": "2e3"}),
        ("model.path=~/models/x", "~/models/x"),
        ("data.path=/d/lr=1/p.jsonl", "/d/lr=1/p.jsonl"),
        ("data.train.split=train[:100]", "train[:100]"),
        ("cluster.constraint=a100&ib", "a100&ib"),
        ("output_dir=/tmp/Jürgen (2)", "/tmp/Jürgen (2)"),
        # Numbers and truth values are what they were.
        ("seed=3", 3),
        ("optimizer.learning_rate=1e-5", 1e-5),
        ("cluster.wait=true", True),
        ("algorithm.clip_low=null", None),
        ("evaluation.problems=1_000", 1000),
    ],
)
def test_fields_of_text_keep_what_was_typed(line, value):
    found = parse(line).value()
    assert found == value and type(found) is type(value)
    assert parse(line).input_line == line


def test_sweeps_over_text_keep_it_too():
    assert list(parse("model.revision=3e10,007").sweep_string_iterator()) == ["3e10", "007"]
    assert list(parse("name=choice(1e5,2)").sweep_string_iterator()) == ["1e5", "2"]
    assert list(parse("seed=range(0,3)").sweep_string_iterator()) == ["0", "1", "2"]
    cells = compose_cells(["model=qwen2_5_1_5b", "model.revision=3e10,4e10"])
    assert [c.axes["model.revision"] for c in cells] == ["3e10", "4e10"] == [c.config.model.revision for c in cells]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("cluster.constraint=[a100|h100]&ib", "[a100|h100]&ib"),
        ("name=[1", "[1"),
        ('tracking.project=a "b" c', 'a "b" c'),
        ("cluster.python=sh -c 'x=1, y'", "sh -c 'x=1, y'"),
        ("model.path=/a=1,/b=2", "/a=1,/b=2"),
        ("nowhere=(1)", "(1)"),
        ("prompt.question={question}\\", "{question}\\"),
    ],
)
def test_what_has_to_be_quoted_is_shown_ready_to_paste(line, text):
    with pytest.raises(UserError, match="quote the value: ") as caught:
        parse(line)
    form = str(caught.value).rpartition("quote the value: ")[2].partition("; to sweep")[0]
    key = line.partition("=")[0]
    assert parse(bash_word(form)).key_or_group == key
    assert parse(bash_word(form)).value() == text


def test_a_comma_in_what_cannot_be_read_is_shown_as_a_sweep_too():
    with pytest.raises(UserError) as caught:
        parse("model.path=/a=1,/b=2")
    form = str(caught.value).rpartition("quote each of them: ")[2]
    assert list(parse(bash_word(form)).sweep_string_iterator()) == ['"/a=1"', '"/b=2"']


@pytest.mark.parametrize(
    "text", ['a"b', "a\\", 'a\\"b\\\\', "it's", "a,b", "[1]", "${x} $HOME `ls` !", "", "1e5", " a "]
)
def test_quoted_values_come_back_from_hydra_as_they_were(text):
    assert OverridesParser.create().parse_override(f"key={quoted(text)}").value() == text
    assert parse(override("output_dir", text)).value() == text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('cluster.env={"A":1,"B":"x y"}', ["keys stand without quotes", "'cluster.env={A:1,B:\"x y\"}'"]),
        ("seed=[1", ["a list is written seed=[a,b]"]),
        ("seed=rnge(0,3)", ["Unknown function 'rnge'", "range(0,3)"]),
        ("stepz", ["'stepz', which should be key=value"]),
        ("--jsn", ["'--jsn', which should be key=value"]),
        ("--seed=3", ["leave the dashes out: seed=3"]),
        ("seed", ["should be key=value without spaces around the ="]),
        ("reward=random reward.probability=0.3", ["several overrides in one word"]),
        ("seed=0,", ["ends with a comma", "without spaces", "seed=0,…"]),
    ],
)
def test_what_cannot_be_read_says_how_it_is_written(line, words):
    with pytest.raises(UserError) as caught:
        parse(line)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('cluster.env={"A":1,"B":"x, y","C":null}', {"A": "1", "B": "x, y", "C": None}),
        ("cluster.env={'A':1}", {"A": "1"}),
        ("cluster.env={A:~/bin,B:a=b&c}", {"A": "~/bin", "B": "a=b&c"}),
        (
            "cluster.setup=[module load cuda, source ~/env/bin/activate]",
            ["module load cuda", "source ~/env/bin/activate"],
        ),
        ('reward.rewards=["format", {"name": "random"}]', ["format", {"name": "random"}]),
    ],
)
def test_lists_and_mappings_in_other_words_are_shown_so_that_they_can_be_pasted(line, value):
    with pytest.raises(UserError) as caught:
        parse(line)
    form = str(caught.value).rpartition("with other characters in them: ")[2]
    assert parse(bash_word(form)).value() == value


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["cluster=slurm", "cluster.constraint=[a100|h100]"],
            ["should be text", "'cluster.constraint=\"[a100|h100]\"'"],
        ),
        (["steps=1,2"], ["steps=1,2: steps is a target", "give the largest alone"]),
        (["deepspeed=zero2,zero3"], ["deepspeed=zero2,zero3: no part of what makes a run", "give one value"]),
        (["cluster=slurm", "cluster.partition=a,b"], ["the same run", "quote it: 'cluster.partition=\"a,b\"'"]),
        (["seed=0,0"], ["seed=0,0: seed=0 stands there more than once"]),
        (["model.mini=null", "model.path=~nobody_by_that_name/x"], ["~nobody_by_that_name/x: no such file"]),
        (["model.path=/x/y"], ["model.path=/x/y: the chosen model qwen2_mini is a mini", "model=smollm2_135m"]),
        (["model.context=256"], ["model.context=256: the positions of qwen2_mini end at 128; set model.context=128"]),
        (["model.mini=null"], ["model.path=null: there are no weights"]),
        ([f"name={'x' * 201}"], ["at most 200 characters"]),
        (["model=Qwen/Qwen2.5-Math-7B"], ["hub id goes into model.path", "Did you mean qwen2_5_math_7b"]),
        (["+model=olmo2_mini"], ["leave the + out: model=olmo2_mini"]),
        (["data.path=x"], ["data.path: the chosen data has no such option; there is one with data.source=jsonl"]),
        (["cluster.account=x"], ["no such option; there is one with cluster.kind=slurm"]),
    ],
)
def test_mistyped_overrides_get_plain_messages(overrides, words):
    with pytest.raises(UserError) as caught:
        plan_sweep(overrides)
    assert all(word in str(caught.value) for word in words)


CLUSTER = """\
defaults: [slurm]
name: 2025
account: 007
qos: 3e10
partition: yes
constraint: 12:30
container: 1.10
wait: on
cpus_per_process: 010
sbatch: {time: 24:00:00, exclusive: true, nodes: 2, begin: 010}
env: {A: 1e5, B: 0.50, C: no, D: 0x1F, E: 1_000, F: 3}
"""


@pytest.mark.parametrize("directory", ["plain", "exp(1)", "lr=1", "Jürgen", "two words", "a,b{c}[d]'e\"f", "${x}"])
def test_files_of_ones_own_mean_what_is_written_wherever_they_lie(tmp_path, directory):
    (tmp_path / directory / "cluster").mkdir(parents=True)
    (tmp_path / directory / "cluster" / "mine.yaml").write_text(CLUSTER)
    (cell,) = compose_cells(["cluster=mine"], str(tmp_path / directory))
    cluster = cell.config.cluster
    assert (cluster.name, cluster.account, cluster.qos, cluster.partition) == ("2025", "007", "3e10", "yes")
    assert (cluster.constraint, cluster.container, cluster.wait, cluster.cpus_per_process) == (
        "12:30",
        "1.10",
        True,
        10,
    )
    assert cluster.sbatch == {"time": "24:00:00", "exclusive": True, "nodes": 2, "begin": "010"}
    shown = {name: str(value) for name, value in cluster.env.items()}
    assert shown == {"A": "1e5", "B": "0.50", "C": "no", "D": "0x1F", "E": "1_000", "F": "3"}
    frozen = yaml.safe_load(yaml.safe_dump(cell.config.model_dump(mode="json")))
    assert CellConfig.model_validate(frozen) == cell.config


def test_an_answer_in_a_file_is_the_text_that_stands_there(tmp_path):
    (tmp_path / "experiment").mkdir()
    file = tmp_path / "experiment" / "mine.yaml"
    for answer in ("yes", "12:30", "010", "1e3", "0.10", "-7"):
        file.write_text(f"# @package _global_\ndata:\n  only:\n    question: What?\n    answer: {answer}\n")
        (cell,) = compose_cells(["experiment=mine"], str(tmp_path))
        assert cell.config.data.only.answer == answer


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [\n", ["bad.yaml, line 2: not YAML"]),
        (b"name: x\nname: y\n", ["bad.yaml, line 2: not YAML: found duplicate key name"]),
        ("name: Jürgen\n".encode("latin-1"), ["bad.yaml: not UTF-8 at byte 7"]),
        (b"just words\n", ["bad.yaml: should hold `key: value` lines"]),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path, content, words):
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "bad.yaml").write_bytes(content)
    with pytest.raises(UserError) as caught:
        compose_cells(["cluster=bad"], str(tmp_path))
    assert all(word in str(caught.value) for word in words)


def test_a_file_that_one_of_the_projects_would_hide_is_refused(tmp_path):
    (tmp_path / "cluster").mkdir()
    file = tmp_path / "cluster" / "slurm.yaml"
    shutil.copy(ROOT / "conf/cluster/slurm.yaml", file)
    assert compose_cells(["cluster=slurm"], str(tmp_path))
    file.write_text(file.read_text() + "partition: gpu\n")
    with pytest.raises(UserError, match=r"there is a conf/cluster/slurm.yaml already.*rename it"):
        compose_cells(["cluster=slurm"], str(tmp_path))


def test_a_model_file_without_a_key_is_told_which_and_where(tmp_path):
    (tmp_path / "model").mkdir()
    file = tmp_path / "model" / "mine.yaml"
    file.write_text(
        "name: mine\nfamily: qwen\npath: a/b\nprompt: chat\ncontext: 4096\nresources: {gpus: 1, hours: 1}\n"
    )
    with pytest.raises(UserError) as caught:
        compose_cells(["model=mine"], str(tmp_path))
    said = str(caught.value).splitlines()
    assert "model.learning_rate: is not set, and optimizer.learning_rate takes its value from it" in said[0]
    assert f"add `learning_rate: …` to {file}" in said[0]
    assert f"add `micro_batch_tokens: …` under `resources:` to {file}" in said[1]


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
    command = re.search(r"`(python -m sweep gc .*)` deletes them", shown).group(1)
    assert command == f"python -m sweep gc --yes --output-dir '{tmp_path}/R 1'"
    assert suggested("status g", tmp_path / "runs") == "`python -m sweep status g`"
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
        (["-m", "--cfg", "job", "seed=4,5", "name=1e5"], 0, "name: 1e5\nseed: 4\n", "the first of 2 cells"),
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
