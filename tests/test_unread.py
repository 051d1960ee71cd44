"""Keys that a cell does not read, keys that nothing reads, and rewards that are tried before a run is paid for."""

from __future__ import annotations

import ast

import pytest
from pydantic import BaseModel

import launch
from helpers.constants import ROOT
from models.config import Architecture, MiniRecipe, ModelConfig, ModelResources, Resources
from rewards.base import Signal
from rewards.behaviours import BehavioursConfig
from rewards.custom import FunctionSource
from rewards.grading import GradingConfig
from sweep.__main__ import main
from sweep.config.benchmarks import Fresh
from sweep.config.cell import CellConfig, LabelsConfig
from sweep.config.data import After, Columns, HubData, OneProblem, ProblemSet
from sweep.config.evaluation import SHARED, Asking, EvaluationConfig
from sweep.config.keys import models_in
from sweep.errors import UserError
from sweep.plan.overrides import reader_of
from sweep.plan.plan import plan_sweep


@pytest.mark.parametrize(
    ("typed", "cells", "notes"),
    [
        (
            ["reward=random,majority_vote", "labels.samples=8,16"],
            ["reward=random seed=0", "reward=majority_vote seed=0 labels.samples=8",
             "reward=majority_vote seed=0 labels.samples=16"],
            ["reward=random seed=0: labels.samples is not read, because the reward random needs no labels",
             "4 combinations typed make 3 cells: those that differ only in what they do not read run once"],
        ),
        (
            ["algorithm.on_policy=true", "algorithm.clip_low=0.1,0.2"],
            ["reward=ground_truth seed=0"],
            ["no cell reads algorithm.clip_low, because algorithm.on_policy=true", "2 combinations typed make 1 cell"],
        ),
        (
            ["optimizer.learning_rate=1e-4", "model.learning_rate=1e-5", "rollout.batch_size=8",
             "model.resources.rollout_cache_gb=2", "resources.memory_gb=2",
             "tracking.mode=disabled", "tracking.tags=[a]"],
            ["reward=ground_truth seed=0"],
            ["no cell reads model.learning_rate, because optimizer.learning_rate=0.0001 stands in its place",
             "no cell reads model.resources.rollout_cache_gb, because rollout.batch_size=8",
             "no cell reads resources.memory_gb, because cluster=local limits neither",
             "no cell reads tracking.tags, because tracking.mode=disabled"],
        ),
        (["model.learning_rate=1e-5", "model.resources.micro_batch_tokens=99"], ["reward=ground_truth seed=0"], []),
    ],
)  # fmt: skip
def test_what_a_cell_does_not_read_is_said_and_cells_that_coincide_run_once(typed, cells, notes, capsys):
    plan = plan_sweep(typed)
    assert [cell.label.removeprefix("model=qwen2_mini ") for cell in plan.cells] == cells
    assert len(plan.notes) == len(notes) and all(said in note for note, said in zip(plan.notes, notes, strict=True))


def test_what_fetches_and_what_shows_a_configuration_takes_the_sweeps_that_plan_takes(monkeypatch, capsys):
    monkeypatch.setattr("sweep.dispatch.prefetch._fetch_model", lambda cell: cell.label)
    typed = ["algorithm.on_policy=true", "algorithm.clip_low=0.1,0.2"]
    assert main(["prefetch", *typed]) == 0
    assert capsys.readouterr().out.startswith("model=qwen2_mini reward=ground_truth seed=0\ndata mini_arithmetic: ")
    assert launch.main(["-m", "--cfg", "job", *typed]) == 0
    assert "cells" not in capsys.readouterr().err  # of which this would be the first


def test_plan_shows_its_notes(capsys):
    assert main(["plan", "algorithm.kl_estimator=k1"]) == 0
    assert "note: no cell reads algorithm.kl_estimator, because algorithm.kl_coefficient=0" in capsys.readouterr().out


def test_what_a_model_file_asks_for_arrives():
    """Each of its resources is what the job's, the rollout's or DeepSpeed's are by default."""
    given = {"gpus": 1, "gpu_memory_gb": 99, "peak_tflops": 3, "memory_gb": 7, "hours": 5, "micro_batch_tokens": 4096,
             "rollout_cache_gb": 3, "gradient_checkpointing": True}  # fmt: skip
    assert given.keys() == ModelResources.model_fields.keys()
    (cell,) = plan_sweep([f"model.resources.{key}={value}" for key, value in given.items()]).cells
    deepspeed, rollout = cell.config.deepspeed, cell.config.rollout
    in_batches = (deepspeed.micro_batch_tokens, rollout.cache_gb, deepspeed.gradient_checkpointing)
    of_job = [value for key, value in cell.config.resources.model_dump().items() if key in given]
    assert [*of_job, *in_batches] == list(given.values())


def test_a_cache_that_cannot_be_written_is_found_before_a_job_finds_it(tmp_path):
    (tmp_path / "file").touch()
    own = ["model.mini.steps=3", f"cache_dir={tmp_path}/file/x"]
    with pytest.raises(UserError, match=rf"cache_dir={tmp_path}/file/x: {tmp_path}/file is a file; set cache_dir to"):
        plan_sweep(own)
    plan_sweep(own[1:])  # the minis that come with the project need no cache
    plan_sweep([*own, "cluster=slurm"])  # the nodes may see another directory there


# By what a schema's fields are read through, beside the name of its own section.
READERS = {
    ModelConfig: ("config",), MiniRecipe: ("recipe",), Resources: ("asked",), Architecture: ("shape",),
    FunctionSource: ("function",), GradingConfig: ("config",), LabelsConfig: ("settings",), ProblemSet: ("config",),
    BehavioursConfig: ("config",), Columns: ("how", "place"), OneProblem: ("only",), After: ("rule",),
    Asking: ("benchmark", "settings"), Fresh: ("options",),
}  # fmt: skip
# Read otherwise than as an attribute: what tells alternatives apart, what a table calls a choice, what is hashed or
# passed on as a whole, and what getattr() finds.
READ_OTHERWISE = {"kind", "name"}
READ_AS_A_WHOLE = {
    (MiniRecipe, "version"),
    (Architecture, "tie_word_embeddings"),
    (HubData, "train"),
    *((EvaluationConfig, key) for key in SHARED),
}


def schemas(schema: type[BaseModel], key: str, found: dict[type[BaseModel], str]) -> dict[type[BaseModel], str]:
    """Every schema of the configuration with a key that holds one."""
    if schema not in found:
        found[schema] = key
        for name, field in schema.model_fields.items():
            for part in models_in(field.annotation):
                schemas(part, f"{key}.{name}" if key else name, found)
    return found


def test_each_key_is_read_by_some_code_or_marked_with_the_key_that_takes_its_value():
    read = set()
    for file in (f for part in ("sweep", "models", "rewards") for f in (ROOT / part).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                through = node.value
                read.add((getattr(through, "id", getattr(through, "attr", "")), node.attr))
    unread = []
    for schema, key in schemas(CellConfig, "", {}).items():
        own = {key.rpartition(".")[2] or "config", "self"}
        through = own.union(*(names for kind, names in READERS.items() if issubclass(schema, kind)))
        for name in schema.model_fields.keys() - READ_OTHERWISE:
            where = f"{key}.{name}".strip(".")
            is_read = any((one, name) in read for one in through) or issubclass(schema, Signal)
            if not is_read and (schema, name) not in READ_AS_A_WHOLE and reader_of(where) == where:
                unread.append(where)
    assert unread == []


def test_numbers_of_an_architecture_that_contradict_each_other_are_refused():
    with pytest.raises(UserError, match=r"architecture.parameters=100: its other numbers .* make 1543569408; correct"):
        plan_sweep(["model=qwen2_5_math_1_5b", "model.architecture.parameters=100"])
    with pytest.raises(UserError, match="tie_word_embeddings=false"):
        plan_sweep(["model=qwen2_5_math_1_5b", "model.architecture.tie_word_embeddings=false"])


OWN = """
def fine(group): return [float(r.correct) for r in group]
def divides(group): return [1 / len(r.text) for r in group]
def halves(group): return [0.5 for _ in group]
def ends(group): raise SystemExit(3)
def lacks(group):
    import no_such_package
    return [1.0 for _ in group]
"""


@pytest.mark.parametrize(
    ("typed", "obstacle", "note"),
    [
        (["reward=custom", "reward.target=own:fine"], "", ""),
        (["reward=custom", "reward.target=own:divides"], "raised ZeroDivisionError: division by zero ({}/own.py, "
         "line 3: def divides(group): return [1 / len(r.text) for r in group])", ""),
        (["reward=not", "reward.reward={name: custom, target: 'own:ends'}"], "ended its process with code 3", ""),
        (["reward=custom", "reward.target=own:halves"], "", ""),
        (["reward=noisy", "reward.reward={name: custom, target: 'own:fine'}"], "", ""),
        (["reward=noisy", "reward.reward={name: custom, target: 'own:halves'}"],
         "tried on made-up responses: the base custom_halves gave 0.5; noisy turns ones and zeros into each other", ""),
        (["reward=custom", "reward.target=own:lacks"], "No module named 'no_such_package'", ""),
        (["reward=custom", "reward.target=own:lacks", "cluster=slurm"], "", "No module named 'no_such_package'"),
    ],
)  # fmt: skip
def test_a_reward_of_ones_own_is_tried_before_anything_is_paid_for(tmp_path, monkeypatch, typed, obstacle, note):
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    plan = plan_sweep([*typed, f"output_dir={tmp_path / 'runs'}"])
    for said, wanted in ((plan.obstacles, obstacle), (plan.notes, note)):
        assert len(said) == bool(wanted) and all(wanted.format(tmp_path) in line for line in said)
