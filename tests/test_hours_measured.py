"""Measured runs say what cells of the same shape will take, and `plan` says both."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from helpers.constants import ROOT
from helpers.hours import config, time_of, training
from helpers.written_sweeps import finish
from models.architecture import read_architecture
from sweep.plan import machine
from sweep.plan.evaluations import plan_model
from sweep.plan.expected import task_times, too_long
from sweep.plan.hours import predict_step
from sweep.plan.measured import LOOKED_AT, shape_of
from sweep.plan.plan import Plan, plan_sweep
from sweep.plan.rates import rates
from sweep.plan.signature import training_identity
from sweep.plan.time_view import time_lines
from sweep.plan.view import plan_json, print_plan
from sweep.run.directory import RunDirectory
from sweep.run.provenance import environment

# What was measured.


@pytest.mark.parametrize("record", json.loads((ROOT / "benchmarks" / "results" / "gpu.json").read_text()))
def test_measured_gpus_are_predicted_within_a_half(record):
    """Steps on an H100 and an H200, sampling and update apart, within a factor of 1.5; the docs say so."""
    cases = {"full_1_5b": ["model=qwen2_5_1_5b"], "lora_7b": ["model=qwen2_5_7b", "tuning=lora"]}
    cell = config(
        *cases[record["case"]], "data=mini_arithmetic", "rollout=transformers", "algorithm.updates_per_rollout=1",
        "model.context=32768", "resources.gpus=1", f"resources.gpu={record['device']}",
        f"algorithm.prompts_per_step={record['prompts']}", f"algorithm.samples_per_prompt={record['samples']}",
        f"rollout.max_prompt_tokens={record['prompt_tokens']}", f"rollout.max_response_tokens={record['tokens']}",
        f"deepspeed.micro_batch_tokens={record['settings']['micro_batch_tokens']}", *record["overrides"],
        "resources.speed.mean_prompt_share=1.0", "resources.speed.mean_response_share=1.0",
    )  # fmt: skip
    found = predict_step(cell, read_architecture(cell.model), rates(cell, 1))
    for predicted, measured in [
        (found.sampling.seconds, record["ours"]["rollout"]),
        (found.update.seconds, record["ours"]["passes"]),
        (found.seconds, record["ours"]["seconds"]),
    ]:
        assert 1 / 1.5 < predicted / measured < 1.5


def measured(root: Path, *typed: str, rows: int = 4, changes: dict | None = None) -> RunDirectory:
    """A run of a cell that took 2 s a step, after a first one of 9, and 3 s an evaluation."""
    task = training(root, "evaluation.benchmarks.mini.every=2", *typed)
    run = RunDirectory(task.directory)
    run.freeze(task.config, task.signature, task.identity, {})
    times = [
        {"timing_s/step": 9.0 if step == 1 else 2.0, "timing_s/rollout": 0.5, "timing_s/update": 1.0}
        | ({} if step % 2 else {"timing_s/evaluation": 3.0})
        for step in range(1, rows + 1)
    ]
    run.metrics.write_text("".join(json.dumps({"step": k} | row) + "\n" for k, row in enumerate(times, start=1)))
    run.write_state(state="done", step=rows, steps=rows, save_seconds=0.5)
    start = {"imports": 4.0, "model": 1.0, "first rollout": 7.0, "first update": 2.0}
    run.add_provenance(**{**environment(), "threads": None, "start": start} | (changes or {}))
    return run


def test_a_run_of_the_same_shape_says_what_a_cell_will_take(tmp_path):
    run = measured(tmp_path)
    found = time_of(tmp_path, "seed=1", "steps=100", "evaluation.benchmarks.mini.every=4", "checkpoint.every=2")
    assert found.measured.run == run.path.name
    assert found.expected.step.seconds == pytest.approx(2.0)
    assert found.expected.start == 5.0
    parts = {name: part.seconds for name, part in found.expected.parts().items()}
    assert (parts["evaluation"], parts["sampling"], parts["update"]) == pytest.approx((25 * 3.0, 50.0, 100.0))
    assert parts["checkpoints"] == pytest.approx(50 * 0.5, rel=0.1)
    assert found.predicted.step.seconds != found.expected.step.seconds


@pytest.mark.parametrize("typed", ["resources.speed.mean_response_share=0.1", "resources.speed.layer_seconds=1"])
def test_an_assumption_changes_nothing_that_was_measured(typed, tmp_path):
    measured(tmp_path)
    found = time_of(tmp_path, "seed=1", "steps=100", "evaluation.benchmarks.mini.every=4", typed)
    assert found.expected.evaluations.seconds == pytest.approx(25 * 3.0)


@pytest.mark.parametrize(
    ("typed", "same"),
    [
        ("seed=3", True),
        ("steps=7", True),
        ("reward=random", True),
        ("optimizer.learning_rate=0", True),
        ("evaluation.benchmarks.mini.samples_per_problem=3", True),
        ("checkpoint.keep=3", True),
        ("resources.hours=9", True),
        ("resources.speed.disk_gbs=3", True),
        ("rollout.max_response_tokens=9", False),
        ("algorithm.updates_per_rollout=1", False),
        ("model=olmo2_mini", False),
        ("tuning=lora", False),
        ("prompt=none", False),
        ("deepspeed.micro_batch_tokens=64", False),
        ("deepspeed.processes=2", False),
        ("resources.gpus=1", False),
    ],
)
def test_what_a_shape_is(typed, same):
    assert (shape_of(config(typed)) == shape_of(config())) is same


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"processor": "another"}, False),
        ({"threads": 2}, False),
    ],
)
def test_a_run_on_another_processor_measures_nothing_here(changes, same, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("sweep.plan.measured.cores", lambda: 8)
    measured(tmp_path, changes=changes)
    assert (time_of(tmp_path, "seed=1").measured is not None) is same


@pytest.mark.parametrize(
    ("gpus", "typed", "same"),
    [
        (["NVIDIA H100 80GB HBM3"], "resources.gpu=H100", True),
        (["NVIDIA L4"], "resources.gpu=H100", False),
        (["NVIDIA L4"], "resources.gpu=null", True),  # nothing says which kind it will be
        ([], "resources.gpu=H100", True),  # in a container the names are not seen
    ],
)
def test_a_run_on_another_gpu_measures_nothing(gpus, typed, same, tmp_path):
    on_slurm = ["cluster=slurm", "resources.gpus=1", "resources.gpu_memory_gb=80"]
    measured(tmp_path, *on_slurm, changes={"gpus": gpus})
    assert (time_of(tmp_path, "seed=1", *on_slurm, typed).measured is not None) is same


@pytest.mark.parametrize(
    ("held", "typed", "same"),
    [
        (1, ["cluster=slurm"], True),
        (0, ["cluster=slurm"], False),  # it asked for a GPU on a machine that has none, and took the CPU
        (0, [], True),
        (1, [], False),
    ],
)
def test_a_run_on_the_cpu_says_nothing_of_one_on_a_gpu(held, typed, same, tmp_path):
    run = measured(tmp_path, "resources.gpus=1")
    run.write_state(spent=[{"began": 1.0, "processes": 1, "gpus": held}])
    assert (time_of(tmp_path, "seed=1", "resources.gpus=1", *typed).measured is not None) is same


@pytest.mark.parametrize(
    ("engine", "installed", "same"),
    [("transformers", False, True), ("transformers", True, False), ("vllm", True, True), (None, True, True)],
)
def test_a_run_with_another_engine_measures_nothing(engine, installed, same, tmp_path, monkeypatch):
    monkeypatch.setattr("sweep.plan.rates.importlib.util.find_spec", lambda name: object() if installed else None)
    auto = ["rollout=auto", "resources.gpus=1", "resources.gpu=H100"]
    measured(tmp_path, *auto, changes={"engine": engine})
    assert (time_of(tmp_path, "seed=1", *auto).measured is not None) is same


def damage_metrics(run: RunDirectory) -> None:
    run.metrics.write_text("{]\n" + run.metrics.read_text())


def damage_config(run: RunDirectory) -> None:
    run.config.write_text("steps: many\n")


def empty_config(run: RunDirectory) -> None:
    run.config.write_text("")


def binary_config(run: RunDirectory) -> None:
    run.config.write_bytes(b"\xff\x00")


def cut_provenance(run: RunDirectory) -> None:
    run.provenance.write_text("{")


def cut_state(run: RunDirectory) -> None:
    (run.path / "state.json").write_text("")


@pytest.mark.parametrize(
    "damage", [damage_metrics, damage_config, empty_config, binary_config, cut_provenance, cut_state]
)
def test_a_damaged_run_measures_nothing_and_plan_goes_on(damage, tmp_path):
    damage(measured(tmp_path))
    assert time_of(tmp_path, "seed=1").measured is None


def test_one_step_is_no_measurement(tmp_path):
    measured(tmp_path, rows=1)
    assert time_of(tmp_path, "seed=1").measured is None


def test_no_tasks_take_no_time(tmp_path):
    assert task_times([], tmp_path) == []


def test_equal_cells_are_computed_once_and_few_runs_are_read(tmp_path, monkeypatch):
    for seed in range(20):
        measured(tmp_path, f"seed={seed}", rows=1)
    read, real = [], RunDirectory.read_config
    monkeypatch.setattr(RunDirectory, "read_config", lambda run: read.append(run) or real(run))
    times = task_times([training(tmp_path, f"seed={seed}") for seed in range(100, 140)], tmp_path)
    assert (len(times), len(read)) == (40, LOOKED_AT)
    assert len({id(time.expected) for time in times}) == 1


# What plan says.


def said(plan: Plan) -> str:
    screen = Console(file=StringIO(), width=200)
    print_plan(plan, screen)
    return screen.file.getvalue()


def test_models_of_one_shape_share_a_line_that_names_each(tmp_path):
    models = ["qwen2_5_math_1_5b", "qwen2_5_1_5b"]
    tasks = [training(tmp_path, f"model={model}", "model.context=4096", "cluster=slurm") for model in models]
    (line, *_) = time_lines(task_times(tasks, tmp_path), tasks)
    assert line.startswith("time of qwen2_5_math_1_5b, qwen2_5_1_5b: ") and "for each of 2 cells" in line


def test_plan_shows_the_prediction_and_the_measurement(tmp_path):
    plan = plan_sweep(["seed=1,2", f"output_dir={tmp_path}"])
    before = said(plan)
    assert "time of qwen2_mini: " in before and "predicted" in before and "for each of 2 cells" in before
    assert "measured in" not in before
    assert "time of the sweep: " in before and "GPU-hours" not in before
    run = measured(tmp_path)
    after = said(replace(plan))
    same = f"measured in {run.path.name} (4 steps of the same shape)"
    assert f"2 s a step (sampling 0.5, update 1, rest 0.5) {same}" in after
    assert "predicted" in after and "update takes" in after and "as measured" in after


def test_json_has_parts_and_sums(tmp_path):
    plan = plan_sweep(["model=qwen2_5_math_1_5b", "cluster=slurm", "seed=0,1", f"output_dir={tmp_path}"])
    found = plan_json(plan)
    time = found["cells"][0]["time"]
    assert time["gpu_hours"] == pytest.approx(2 * time["hours"], rel=1e-2)
    assert time["predicted"]["seconds"] == pytest.approx(sum(time["predicted"]["parts"].values()), rel=1e-2)
    assert time["measured"] is None
    each = [run["time"]["gpu_hours"] for run in [*found["stages"], *found["cells"]]]
    assert found["time"]["gpu_hours"] == pytest.approx(sum(each), rel=1e-2)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("resources.speed.layer_seconds=0.1", "sampling takes"),
        ("resources.speed.layer_seconds=0.1", "the host's 100 ms a layer and pass (resources.speed.layer_seconds)"),
        ("resources.speed.update_efficiency=0.001", "update takes"),
        ("resources.speed.update_efficiency=0.001", "0 % of 0.09 TFLOP/s (resources.speed.update_efficiency)"),
        ("resources.speed.update_efficiency=0.001", "24 tokens on average (resources.speed.mean_response_share=0.5)"),
        ("resources.speed.start_seconds=9999", "9999 s before the first step (resources.speed.start_seconds)"),
        ("resources.speed.disk_gbs=1e-6", "1e-06 GB/s to the disk (resources.speed.disk_gbs)"),
        ("resources.speed.bandwidth_gbs=1e-4", "0.0001 GB/s"),
    ],
)
def test_the_assumption_that_dominates_is_named(typed, words, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 1)
    task = training(tmp_path, typed)
    assert words in "\n".join(time_lines(task_times([task], tmp_path), [task]))


ON_SLURM = ["model=qwen2_5_math_1_5b", "cluster=slurm", "rollout=vllm", "steps=300"]


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (1.0, None),
        (0.4, "Slurm queues it again twice (3 jobs); resources.hours="),
        (0.8, "Slurm queues it again once (2 jobs); resources.hours="),
        (0.01, "not even a step ends: it never gets further; raise resources.hours"),
    ],
)
def test_a_cell_that_cannot_end_in_its_hours_is_said(share, words, tmp_path):
    hours = share * time_of(tmp_path, *ON_SLURM).hours
    tasks = [training(tmp_path, *ON_SLURM, f"resources.hours={hours}", f"seed={seed}") for seed in (0, 1)]
    found = too_long(task_times(tasks, tmp_path))
    if words is None:
        assert found == []
    else:
        (note,) = found
        assert note.startswith("a cell and 1 more: needs some ") and words in note


@pytest.mark.parametrize(("needed", "given", "shown"), [(0.4, 0.25, "0.4"), (48.3, 48, "48.3"), (62.8, 48, "63")])
def test_the_hours_that_are_needed_are_more_than_those_that_a_job_gets_as_shown(needed, given, shown, tmp_path):
    task = training(tmp_path, *ON_SLURM, f"resources.hours={given}")
    (time,) = task_times([task], tmp_path)
    expected = replace(time.expected, start=time.expected.start + 3600 * needed - time.expected.seconds)
    (note,) = too_long([replace(time, expected=expected)])
    assert f"needs some {shown} h, by prediction, and its job gets {given} h" in note


def test_a_launch_says_it_before_it_submits(tmp_path):
    plan = plan_sweep([*ON_SLURM, "resources.hours=0.5", f"output_dir={tmp_path}"])
    assert any("and its job gets 0.5 h" in note for note in plan.notes)
    for task in plan.tasks:
        finish(task)
    plan = plan_sweep([*ON_SLURM, "resources.hours=0.5", f"output_dir={tmp_path}"])
    assert not any("and its job gets" in note for note in plan.notes)  # what is done needs no job


def test_less_than_an_hour_is_said_too(tmp_path):
    task = training(tmp_path, "cluster=slurm", "resources.speed.start_seconds=1500", "resources.hours=0.25")
    (note,) = too_long(task_times([task], tmp_path))
    assert "needs some 0.4" in note and "and its job gets 0.25 h" in note


def test_so_does_an_evaluation(tmp_path):
    slow = ["model=qwen2_mini", "cluster=slurm", "resources.speed.start_seconds=90000", f"output_dir={tmp_path}"]
    (note,) = plan_model("models", tmp_path, slow, None).notes
    assert "needs some 25 h, by prediction, and its job gets 1 h" in note


def test_on_this_machine_hours_end_no_job(tmp_path):
    task = training(tmp_path, "resources.hours=0.0001")
    assert too_long(task_times([task], tmp_path)) == []


def test_assumptions_rename_no_run():
    typed = ["resources.speed.disk_gbs=3", "resources.gpu=H100", "resources.speed.mean_response_share=0.1"]
    assert training_identity(config(*typed)) == training_identity(config())
