"""Composition, signatures and the refusal of bad input."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from helpers.constants import SHORT, TINY
from helpers.signatures import sign
from models.architecture import architecture_from, read_architecture
from models.mini.arithmetic import problems
from sweep.config.faults import say_once
from sweep.data.problems import load_problems
from sweep.errors import UserError
from sweep.plan.compose import compose_cells
from sweep.plan.files import CONF
from sweep.plan.plan import plan_sweep
from sweep.plan.told_apart import told_apart
from sweep.run.directory import RunDirectory

NEEDS = {
    "data=jsonl": ["data.path=PROBLEMS", *SHORT],
    "evaluation=jsonl": ["evaluation.benchmarks.jsonl.path=PROBLEMS"],
    "data=deepscaler": SHORT,
    "data=one_shot": SHORT,
    "reward=all_of": ["reward.rewards=[format,no_python]"],
    "reward=any_of": ["reward.rewards=[format,no_python]"],
    "reward=not": ["reward.reward=python"],
    "reward=weighted": ["reward.rewards=[ground_truth,format]", "reward.weights=[0.9,0.1]"],
    "reward=custom": ["reward.target=rewards.behaviour:uses_code"],
    "model=smollm2_135m": ["data.path=PROBLEMS"],
    "prompt=file": ["prompt.path=PROMPT"],
}


@pytest.mark.parametrize("file", sorted(CONF.glob("*/*.yaml")), ids=lambda f: f"{f.parent.name}={f.stem}")
def test_every_file_in_conf_composes_and_validates(file: Path, tmp_path):
    choice = f"{file.parent.name}={file.stem}"
    problems_file = tmp_path / "problems.jsonl"
    problems_file.write_text("".join(f'{{"prompt": "{i}+1", "answer": "{i + 1}"}}\n' for i in range(40)))
    prompt_file = tmp_path / "prompt.txt"
    prompt_file.write_text("Q: {question}\nA:")
    places = {"PROBLEMS": str(problems_file), "PROMPT": str(prompt_file)}
    extra = [re.sub("[A-Z]{6,}", lambda m: places[m.group()], line) for line in NEEDS.get(choice, [])]
    assert plan_sweep([choice, f"output_dir={tmp_path}", *extra]).cells


def test_cross_product_in_order_of_the_axes():
    cells = compose_cells(["model=qwen2_mini,olmo2_mini", "seed=range(0,2)", "algorithm.clip_low=0.1,null"])
    assert len(cells) == 8
    assert cells[0].label == "model=qwen2_mini reward=ground_truth seed=0 algorithm.clip_low=0.1"
    assert cells[-1].config.algorithm.clip_low is None
    assert cells[-1].config.model.family == "olmo2"


# For Hydra's own composition, which would read the settings of the machine that runs the tests.
WITHOUT_LOCAL = ["~local@_global_"] * (CONF / "local").is_dir()


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=llama3_mini", "model.learning_rate=1e-4", "seed=3"],
        ["deepspeed=zero1", "deepspeed.processes=2", "tracking.tags=[a,b]", "name=${model.name}-x"],
        ["reward=random", "reward.probability=0.25", "optimizer.learning_rate=${model.learning_rate}"],
    ],
)
def test_composition_equals_hydras_own(overrides):
    (cell,) = compose_cells(overrides)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        expected = OmegaConf.to_container(compose("config", overrides=[*overrides, *WITHOUT_LOCAL]), resolve=True)
    assert cell.config.model_dump() == type(cell.config).model_validate(expected).model_dump()


def test_each_point_of_a_sweep_equals_hydras_own_composition():
    axes = {
        "model": ["qwen2_mini", "olmo2_mini"],
        "seed": ["0", "3"],  # no interpolation sees it
        "model.learning_rate": ["1e-4", "3e-4"],  # optimizer.learning_rate follows it
        "algorithm.clip_low": ["0.1", "null"],
        "tracking.tags": ["[a,b]", "[]"],
        "tracking.entity": ["'1'", "${model.name}"],
        "+prompt.system": ["hi", "null"],
    }
    cells = compose_cells([f"{key}={','.join(values)}" for key, values in axes.items()])
    points = list(itertools.product(*axes.values()))
    assert len(cells) == len(points) == 128
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for cell, point in list(zip(cells, points, strict=True))[::9]:
            lines = [f"{key}={value}" for key, value in zip(axes, point, strict=True)]
            expected = OmegaConf.to_container(compose("config", overrides=[*lines, *WITHOUT_LOCAL]), resolve=True)
            assert cell.config.model_dump() == type(cell.config).model_validate(expected).model_dump()


def test_experiment_axes_yield_to_the_command_line():
    assert len(compose_cells(["experiment=demo"])) == 6
    assert {c.config.model.name for c in compose_cells(["experiment=demo", "model=olmo2_mini"])} == {"olmo2_mini"}
    assert len(compose_cells(["experiment=demo", "seed=0,1"])) == 12


def test_signature_follows_the_science_alone():
    base = sign()
    assert sign("model=qwen2_mini", "seed=0", "optimizer.learning_rate=5e-5") == base  # defaults typed out
    same = ["steps=99", "deepspeed=zero1", "deepspeed.processes=2", "deepspeed.micro_batch_tokens=800", "output_dir=x"]
    same += ["tracking.mode=offline", "cluster.max_parallel=1", "checkpoint.keep=3", "evaluation.every=5", "name=x"]
    same += [
        "resources.gpus=2",
        "deepspeed.gradient_checkpointing=true",
        "deepspeed.offload_optimizer=true",
        "prompt=chat",
    ]
    assert sign(*same) == base
    different = ["seed=1", "reward=random", "algorithm.clip_high=0.3", "rollout.temperature=0.9", "model=olmo2_mini"]
    different += ["prompt=python_prefix", "tuning=lora", "prompt.system=hi", "model.stop_strings=[x]"]
    assert len({base, *map(sign, different)}) == 10


def test_signature_hashes_files_by_content(tmp_path):
    rows = [f'{{"prompt": "{i}+1", "answer": "{i + 1}"}}\n' for i in range(21)]
    first, second, third = tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "c.jsonl"
    first.write_text("".join(rows[:20])), second.write_text("".join(rows[:20])), third.write_text("".join(rows))
    signs = [sign("data=jsonl", f"data.path={f}") for f in (first, second, third)]
    assert signs[0] == signs[1] != signs[2]


def test_signature_hashes_local_weights_by_content(tmp_path):
    for name, content in (("a", b"0" * 100), ("b", b"0" * 100), ("c", b"1" * 100)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(content)
    signs = [sign("model.mini=null", f"model.path={tmp_path / name}") for name in "abc"]
    assert signs[0] == signs[1] != signs[2]


def test_relative_paths_become_absolute(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    (cell,) = compose_cells(["model.mini=null", "model.path=./weights"])
    assert cell.config.model.path == str(tmp_path / "weights")
    (cell,) = compose_cells(["model.mini=null", "model.path=org/name"])
    assert cell.config.model.path == "org/name"


def test_own_prompts_are_frozen_into_the_configuration(tmp_path):
    file = tmp_path / "prompt.txt"
    file.write_text("Q: {question}\nA:")
    before = sign("prompt=file", f"prompt.path={file}")
    (cell,) = compose_cells(["prompt=file", f"prompt.path={file}"])
    file.write_text("Question: {question}")
    assert type(cell.config).model_validate(cell.config.model_dump(mode="json")).prompt.text == "Q: {question}\nA:"
    assert sign("prompt=file", f"prompt.path={file}") != before


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model=qwen2_min"], ["model=qwen2_min", "Did you mean qwen2_mini"]),
        (["reward=rndom"], ["reward=rndom", "random"]),
        (["algorithm.clip_lw=0.1"], ["algorithm.clip_lw", "no such key", "algorithm.clip_low"]),
        (["+algorithm.clip_lw=0.1"], ["algorithm.clip_lw", "no such key", "algorithm.clip_low"]),
        (["+stepz=3"], ["stepz", "no such key", "steps"]),
        (["algoritm.clip_high=0.3"], ["algoritm: no such key. Did you mean algorithm?"]),
        (["reward=random", "reward.probabilty=0.3"], ["no such key. Did you mean reward.probability?"]),
        (["~steps"], ["steps: has no default; add steps=…"]),
        (["tuning=lora", "tuning.rank=0"], ["tuning.rank=0: Input should be greater"]),
        (["data.only=foo"], ["data.only='foo': is a section; set data.only.answer=… and data.only.question=…"]),
        (["seed=zero"], ["seed='zero'", "integer"]),
        (["rollout.max_response_tokens=120"], ["max_response_tokens=120", "context=128", "lower one of them by 24"]),
        (["rollout.max_prompt_tokens=900", "rollout.max_response_tokens=800"], ["lower both, in all by 1572"]),
        (["stepz"], ["'stepz', which should be key=value"]),
        (["algorithm.updates_per_rollout=7"], ["updates_per_rollout=7", "4 or 8 would do"]),
        (["deepspeed.processes=3"], ["deepspeed.processes=3", "would do"]),
        (["algorithm.samples_per_prompt=1"], ["samples_per_prompt=1", "baseline=none"]),
        (["algorithm.ratio=probability"], ["algorithm.clip_low=null algorithm.clip_high=null"]),
        (["algorithm.aggregation=mean"], ["algorithm.aggregation='mean'", "'token_mean'"]),
        (["rollout.top_p=0.9"], ["rollout.top_p", "samples the policy as it is", "leave it out"]),
        (["prompt=own,chat"], ["prompt=own,chat: the same run each time", "nothing differs that a run reads"]),
        (["reward=random", "reward.probability=1.5"], ["reward.probability=1.5", "less than or equal to 1"]),
        (["reward.probability=0.5"], ["reward.probability", "the chosen reward has no such option"]),
        (["deepspeed.zero_stage=0"], ["zero_stage=0", "greater than or equal to 1"]),
        (["data=jsonl"], ["data.path", "has no default"]),
        (["data=jsonl", "data.path=/nowhere.jsonl", *SHORT], ["/nowhere.jsonl", "No such file"]),
        (
            ["reward=random,ground_truth", "deepspeed.processes=5"],
            ["reward=random", "reward=ground_"],
        ),
        (["model.mini=null", "model.path=./nowhere"], ["model.path=", "nowhere", "no such file"]),
        (["model.family=gemma"], ["family 'gemma' is unknown", "chatml, llama3, olmo2, olmo3, qwen"]),
        (
            ["model=qwen2_5_7b", "rollout=transformers", "rollout.batch_size=1024", "algorithm.samples_per_prompt=512"],
            ["a process", "rollout.batch_size=128"],
        ),
        (["prompt=file", "prompt.path=/nowhere.txt"], ["prompt.path", "/nowhere.txt"]),
        (["prompt=file", "prompt.path=LICENSE"], ["prompt.text", "must contain {question} once"]),
        (["prompt=none", "prompt.system=hi"], ["a system turn needs format=chat"]),
        (
            ["~model.prompt"],
            ["model.prompt: is not set", "prompt.format takes", "conf/model/qwen2_mini.yaml"],
        ),
        (["seed=0,1", "steps=5", "seed=1,1"], ["seed=1,1: seed=1 stands there more than once; leave one out"]),
        (["model=[qwen2_mini,olmo2_mini]"], ["takes one choice", "model=qwen2_mini,olmo2_mini"]),
        (["name=../../elsewhere"], ["name='../../elsewhere': letters, digits"]),
        (["experiment=demo,null"], ["launch one at a time"]),
        (["output_dir=a,b"], ["output_dir=a,b", "the same run", "'output_dir=\"a,b\"'"]),
        (["seed=[1"], ["seed=[1"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and "=" in value[0] else None,
)
def test_bad_input_names_key_and_remedy(overrides, words, tmp_path):
    place = [] if overrides[0].startswith("output_dir") else [f"output_dir={tmp_path / 'runs'}"]
    with pytest.raises(UserError) as caught:
        plan_sweep([*overrides, *place])
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_malformed_row_is_found_before_anything_is_written(tmp_path):
    file = tmp_path / "problems.jsonl"
    file.write_text('{"prompt": "1+1", "answer": "2"}\n' * 20 + '{"question": "1+2", "answer": "3"}\n')
    with pytest.raises(UserError, match="line 21"):
        plan_sweep(["data=jsonl", f"data.path={file}", f"output_dir={tmp_path / 'runs'}", *SHORT])


def test_mini_problems_of_the_splits_do_not_overlap():
    splits = [set(problems(s)) for s in ("train", "validation", "test")]
    assert [len(s) for s in splits] == [1916, 500, 500]
    assert len(set.union(*splits)) == 2916


def test_choices_of_one_name_stay_apart(tmp_path):
    (tmp_path / "reward").mkdir()
    for choice, probability in (("mine", 0.3), ("yours", 0.7)):
        (tmp_path / "reward" / f"{choice}.yaml").write_text(f"name: random\nprobability: {probability}\n")
    cells = compose_cells(["reward=mine,yours,python", "seed=0,1"], str(tmp_path))
    assert [cell.axes["reward"] for cell in cells] == ["mine", "mine", "yours", "yours", "python", "python"]


def test_bad_input_ends_with_code_2_and_writes_nothing(shell, tmp_path):
    done = shell.launch("-m", "model=qwen2_mini,qwen3_mini", check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("model=qwen3_mini: no such model. Did you mean qwen2_mini")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["qwen2_mini", "llama3_mini", "olmo2_mini"])
def test_parameter_counts_in_conf_are_true(name, tmp_path):
    from models.mini.pretrain import _new_model
    from models.mini.tokenizer import build_tokenizer

    (cell,) = compose_cells([f"model={name}"])
    model = cell.config.model
    made = _new_model(model.family, model.mini, build_tokenizer(model.family))
    found = read_architecture(model)
    assert sum(p.numel() for p in made.parameters()) == pytest.approx(found.parameters, rel=0.02)
    made.save_pretrained(tmp_path)
    assert found.model_dump(exclude={"parameters"}) == architecture_from(
        json.loads((tmp_path / "config.json").read_text())
    ).model_dump(exclude={"parameters"})


def test_one_shot_trains_on_one_problem_and_is_tested_on_all_others():
    (cell,) = compose_cells(["data.only={question: 3+4-5, answer: 2}"])
    assert [(p.question, p.answers) for p in load_problems(cell.config.data, "train")] == [("3+4-5", ("2",))]
    assert len(load_problems(cell.config.data, "test")) == 500
    (cell,) = compose_cells(["data.only={question: 1+4+4, answer: 9}"])  # a test problem
    assert len(load_problems(cell.config.data, "test")) == 499
    (published,) = compose_cells(["model=qwen2_5_math_1_5b", "data=one_shot"])
    (problem,) = load_problems(published.config.data, "train")
    assert "wind" in problem.question and problem.answers == ("12.8",)


def test_a_fault_of_many_cells_is_said_once():
    pairs = [(f"seed={i}", "too large") for i in range(45)] + [("seed=7", "too long"), ("seed=7", "too long")]
    assert say_once(pairs) == ["seed=0; seed=1 and 43 more cells: too large", "seed=7: too long"]
    assert say_once(pairs[:3]) == ["seed=0; seed=1; seed=2: too large"]


def test_stages_that_share_a_label_say_what_differs():
    crossed = plan_sweep([*TINY, "prompt=own,none", "reward=random,majority_vote", "seed=0,1"])
    assert [stage.label for stage in crossed.stages] == [
        "baseline of qwen2_mini prompt=own",
        "labels of qwen2_mini prompt=own",
        "baseline of qwen2_mini prompt=none",
        "labels of qwen2_mini prompt=none",
    ]
    # What cells of one stage differ by is not said, and what tells nothing apart is not either.
    assert [stage.label for stage in plan_sweep([*TINY, "reward=random,format", "seed=0,1"]).stages] == [
        "baseline of qwen2_mini"
    ]


def test_stages_that_no_axis_tells_apart_show_their_signatures():
    (cell,) = plan_sweep(TINY).cells
    entries = [replace(cell.entry, label="baseline of m", signature=sign * 8) for sign in "ab"]
    stages = [replace(cell, entry=entry) for entry in entries]
    told = told_apart(stages, {stage.signature: [{"seed": "0"}] for stage in stages})
    assert [stage.label for stage in told] == ["baseline of m aaaaaa", "baseline of m bbbbbb"]


@pytest.mark.parametrize("key", ["resources.gpus", "deepspeed.processes"])
def test_a_number_of_processes_that_batches_do_not_divide_by_is_named_by_the_key_that_was_typed(key, tmp_path):
    with pytest.raises(UserError, match=rf"prompts_per_step=4 does not divide by {re.escape(key)}=3; 2 or 4 would do"):
        plan_sweep([*TINY, f"{key}=3", f"output_dir={tmp_path}"])


@pytest.mark.parametrize("file", ["signature.json", "state.json", "config.yaml"])
@pytest.mark.parametrize("content", [b"", b'{"state": ', bytes(99)])
def test_damaged_records_of_another_run_stop_no_plan(file, content, tmp_path):
    (other,) = plan_sweep([*TINY, "seed=1", f"output_dir={tmp_path}"]).cells
    other.freeze("other")
    RunDirectory(other.directory).write_state(state="done", step=4, steps=4)
    (other.directory / file).write_bytes(content)
    assert not plan_sweep([*TINY, "seed=2", f"output_dir={tmp_path}"]).obstacles
