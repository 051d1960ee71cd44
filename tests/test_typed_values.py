"""Overrides and configuration files mean what is written, or are refused with what to write instead."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from helpers.constants import ROOT
from sweep.config.cell import CellConfig
from sweep.errors import UserError
from sweep.plan.compose import compose_cells
from sweep.plan.overrides import override, parse, quoted
from sweep.plan.plan import plan_sweep


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
        ("output_dir=runs/Jürgen (2)", "runs/Jürgen (2)"),
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
        ('cluster.sbatch={"A":1,"B":"x y"}', ["keys stand without quotes", "'cluster.sbatch={A:1,B:\"x y\"}'"]),
        ("seed=[1", ["a list is written seed=[a,b]"]),
        ("seed=rnge(0,3)", ["Unknown function 'rnge'", "range(0,3)"]),
        ("stepz", ["'stepz', which should be key=value"]),
        ("--jsn", ["'--jsn', which should be key=value"]),
        ("seed=range(0,2),5", ["a sweep within a list or a sweep", "write its values out"]),
        ("tracking.tags=[range(0,2)]", ["a sweep within a list or a sweep"]),
        ("name=${", ["name=${: ${ begins a reference", "not whole"]),
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
        ('cluster.sbatch={"A":"a1","B":"x, y","C":null}', {"A": "a1", "B": "x, y", "C": None}),
        ("cluster.sbatch={'A':'1'}", {"A": "1"}),
        ("cluster.sbatch={A:~/bin,B:a=b&c}", {"A": "~/bin", "B": "a=b&c"}),
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
    ("line", "value"),
    [
        ('cluster.env={"A":1,"B":"x, y"}', {"A": "1", "B": "x, y"}),
        ("cluster.env={'A':1}", {"A": "1"}),
        ("cluster.env={A:~/bin,B:a=b&c}", {"A": "~/bin", "B": "a=b&c"}),
    ],
)
def test_an_environment_in_other_words_is_taken_because_no_message_may_show_it(line, value):
    assert parse(line).value() == value


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
        (["model=null"], ["model=null: model takes the name of a choice; there are: llama3_1_8b"]),
        (["model=7"], ["model=7: no such model"]),
        (["seed=range(0,0)"], ["seed=range(0,0): stands for no value at all"]),
        (["reward=glob(zzz*)"], ["stands for no value at all"]),
        (["model.path.x=3"], ["model.path: takes one text, and has no x within it"]),
        (
            ["name=${model.nme}"],
            ["name: takes its value from another key; model.nme: no such key. Did you mean model.name"],
        ),
        (["~seed=3"], ["Could not delete from config. The value of 'seed' is 0 and not 3."]),
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
    frozen = CellConfig.model_validate(yaml.safe_load(yaml.safe_dump(cell.config.model_dump(mode="json"))))
    assert frozen.cluster.env == dict.fromkeys("ABCDEF")  # values may be tokens: they are kept elsewhere
    again = frozen.cluster.model_copy(update={"env": cluster.env})
    assert frozen.model_copy(update={"cluster": again}) == cell.config


def test_a_file_may_be_named_by_a_number(tmp_path):
    (tmp_path / "reward").mkdir()
    for name in ("2025", "1e5", "007"):
        (tmp_path / "reward" / f"{name}.yaml").write_text(f"name: random\nprobability: 0.{len(name)}\n")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "12.yaml").write_text("# @package _global_\nseed: 3\n")
    cells = compose_cells(["reward=2025,1e5,007", "experiment=12"], str(tmp_path))
    assert {cell.config.seed for cell in cells} == {3}
    assert compose_cells(["experiment=null"])
    assert [cell.config.reward.probability for cell in cells] == [0.4, 0.3, 0.3]


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
    cache, rate, tokens, *_ = str(caught.value).splitlines()
    assert "model.learning_rate: is not set, and optimizer.learning_rate takes its value from it" in rate
    assert f"add `learning_rate: …` to {file}" in rate
    assert f"add `rollout_cache_gb: …` under `resources:` to {file}" in cache
    assert f"add `micro_batch_tokens: …` under `resources:` to {file}" in tokens
