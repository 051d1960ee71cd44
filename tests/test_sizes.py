"""Published models run as published, minis in the demo's sizes, and what is stated closer to the user wins."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from sweep.config.cell import CellConfig
from sweep.config.rules import cell_faults
from sweep.plan.compose import compose_cells
from sweep.plan.evaluation_share import evaluation_share
from sweep.plan.expected import task_times, too_long
from sweep.plan.files import CONF
from sweep.plan.fit import shape_faults
from sweep.plan.hours import predict_training
from sweep.plan.plan import Plan, plan_sweep
from sweep.plan.rates import rates

MODELS = sorted(file.stem for file in (CONF / "model").glob("*.yaml"))
SMALL = [name for name in MODELS if name.endswith("_mini") or name == "smollm2_135m"]  # what a laptop trains
PUBLISHED = [name for name in MODELS if name not in SMALL]
BENCHMARKS = sorted(
    file.stem for file in (CONF / "evaluation").glob("*.yaml") if "source: hub" in file.read_text().splitlines()
)
OWN_FILES = {
    "algorithm/wide.yaml": "defaults: [grpo]\nname: wide\nprompts_per_step: 128\n",
    "checkpoint/often.yaml": "every: 5\nkeep: 1\nresumable: false\n",
    "experiment/short.yaml": (
        "# @package _global_\ndefaults:\n  - override /model: qwen2_5_7b\n  - override /rollout: transformers\n"
        "steps: 77\nalgorithm: {samples_per_prompt: 8}\n"
    ),
    "experiment/small.yaml": "# @package _global_\ndefaults:\n  - override /sizes: demo\n",
}
DEMO, PAPER = (30, 32, 16, "transformers", 10), (300, 64, 16, "auto", 25)


def sizes(config: CellConfig) -> tuple:
    algorithm, checkpoint = config.algorithm, config.checkpoint
    batch = algorithm.prompts_per_step, algorithm.samples_per_prompt
    return config.steps, *batch, config.rollout.name, checkpoint.every


@cache
def planned() -> Plan:
    """Every published model as it is launched on the example of a cluster, of A100s; the plan has no fault."""
    return plan_sweep([f"model={','.join(PUBLISHED)}", "cluster=slurm_example", "output_dir=nowhere"])


def published() -> dict[str, CellConfig]:
    return {cell.config.model.name: cell.config for cell in planned().cells}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_runs_as_published_and_fits(name):
    config = published()[name]
    assert sizes(config) == PAPER and not config.checkpoint.resumable
    assert (config.rollout.max_prompt_tokens, config.rollout.max_response_tokens) == (1024, 3072)
    assert (config.data.name, list(config.evaluation.benchmarks)) == ("deepscaler", ["math500"])
    for engine in ("auto", "vllm", "transformers"):  # where vLLM is not installed, auto is transformers
        rollout = config.rollout.model_copy(update={"name": engine})
        assert shape_faults(config.model_copy(update={"rollout": rollout})) == []


def test_a_published_model_ends_in_the_hours_that_its_job_asks_for():
    notes = [note for note in planned().notes if "and its job gets" in note]
    (note,) = notes
    assert note.startswith("model=olmo2_13b ")  # its file says so
    # A step of 24 minutes and a checkpoint of 192 GB do not end in the 180 s that a job has by default.
    assert "loses up to 25 steps: cluster.signal_seconds=2460 leaves it that" in note
    (cell,) = (task for task in planned().cells if task.config.model.name == "olmo2_13b")
    told = cell.config.cluster.model_copy(update={"signal_seconds": 2460})
    told_in_time = replace(cell, config=cell.config.model_copy(update={"cluster": told}))
    (note,) = too_long(task_times([told_in_time], Path("nowhere")))
    assert "Slurm queues it again" in note and "loses" not in note


def test_the_window_of_olmo_3_holds_its_longest_sequence_and_nothing_longer():
    assert cell_faults(published()["olmo3_7b"]) == []
    (cell,) = compose_cells(["model=olmo3_7b", "rollout.max_response_tokens=3073"])
    (fault,) = cell_faults(cell.config)
    assert "exceed model.context=4096; lower one of them by 1" in fault


@pytest.mark.parametrize("gpu", ["A100", "H100"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_evaluations_and_checkpoints_of_a_published_model_cost_less_than_a_tenth(name, gpu):
    """By the plan's own prediction, with the lengths and speeds that it assumes."""
    config = published()[name]
    config = config.model_copy(update={"resources": config.resources.model_copy(update={"gpu": gpu})})
    forecast = predict_training(config, rates(config, cores=4))
    assert forecast.evaluations.seconds > 0 and forecast.saves > 0
    assert forecast.evaluations.seconds + forecast.saves < 0.10 * forecast.seconds


@cache
def evaluated_with_all() -> CellConfig:
    (cell,) = compose_cells(["model=qwen2_5_math_7b", f"evaluation=[{','.join(BENCHMARKS)}]"])
    return cell.config


@pytest.mark.parametrize("names", [*zip(BENCHMARKS), ("math500", "aime24", "aime25", "amc83")], ids=",".join)
def test_no_benchmark_of_the_hub_costs_a_published_model_more_than_a_twentieth(names):
    config = evaluated_with_all()
    benchmarks = {name: config.evaluation.benchmarks[name] for name in names}
    evaluation = config.evaluation.model_copy(update={"benchmarks": benchmarks})
    assert 0 < evaluation_share(config.model_copy(update={"evaluation": evaluation})) < 0.05


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        *((f"model={name}", [DEMO]) for name in SMALL),
        ("", [DEMO]),
        ("model=qwen2_mini,qwen2_5_7b", [DEMO, PAPER]),
        ("model=qwen2_5_7b sizes=demo", [DEMO]),
        ("model=qwen2_mini sizes=published", [PAPER]),
        ("model=qwen2_5_7b sizes=demo,published", [DEMO, PAPER]),
        ("model=qwen2_5_7b steps=5", [(5, *PAPER[1:])]),
        ("sizes=demo model=qwen2_5_7b steps=300", [(300, *DEMO[1:])]),
        (
            "model=qwen2_5_7b rollout=vllm checkpoint.every=3 algorithm.prompts_per_step=8",
            [(300, 8, 16, "vllm", 3)],
        ),
        # An algorithm's or a checkpoint's file that states a size wins over the model's choice of sizes.
        ("model=qwen2_mini,qwen2_5_7b algorithm=paper", [(30, 64, 16, "transformers", 10), PAPER]),
        (
            "model=qwen2_mini,qwen2_5_7b algorithm=wide checkpoint=often",
            [(30, 128, 16, "transformers", 5), (300, 128, 16, "auto", 5)],
        ),
        ("model=qwen2_5_7b algorithm=rloo", [PAPER]),
        # An experiment's file wins over all of them, and what is typed over that.
        ("experiment=short", [(77, 64, 8, "transformers", 25)]),
        ("experiment=short steps=4 rollout=auto", [(4, 64, 8, "auto", 25)]),
        ("experiment=small model=qwen2_5_7b", [DEMO]),
        ("experiment=smoke model=qwen2_5_7b", [(2, 8, 4, "auto", 1)]),
    ],
)
def test_what_stands_closer_to_the_user_wins(typed, expected, tmp_path):
    for place, text in OWN_FILES.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(text)
    data = ["data=mini_arithmetic"] if "smollm2" in typed else []  # its own are a file that the user names
    cells = compose_cells([*typed.split(), *data], str(tmp_path))
    assert [sizes(cell.config) for cell in cells] == expected
