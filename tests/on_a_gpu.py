"""What only a GPU can show: its attention kernels, and that the product trains on one.

    .venv/bin/python -m pytest -n 0 tests/on_a_gpu.py

The suite does not collect it, because a machine without a GPU could only skip it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch

from helpers.random_models import answers, tiny
from sweep.grpo.logprobs import Policy, pack_sequences
from sweep.plan.machine import gpus

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
GPU = torch.device("cuda")
LARGE = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}  # kernels want heads of 8 or more
SMOKE = ("experiment=smoke", "resources.gpus=1")


def gradients(model, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probs of some responses, and the gradients of their weighted sum with respect to all weights."""
    torch.manual_seed(0)
    prompts = [torch.randint(3, 600, (n,)).tolist() for n in (4, 9, 1, 30)]
    responses = [torch.randint(3, 600, (n,)).tolist() for n in (20, 7, 13, 40)]
    weights_n = torch.randn(80)
    batch = pack_sequences(prompts, responses, device)
    logprobs_n = Policy(model)(batch, 1.0)[0][batch.mask_bt]
    (logprobs_n * weights_n.to(device)).sum().backward()
    found = torch.cat([p.grad.float().flatten().cpu() for p in model.parameters()])
    return logprobs_n.detach().float().cpu(), found


def error(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-4), (torch.bfloat16, 0.2)])
@pytest.mark.parametrize("family", ["llama", "qwen2", "olmo2"])
def test_packed_log_probs_and_gradients_are_those_of_a_cpu_in_float32(family, dtype, tolerance):
    on_gpu, on_cpu = (tiny(family, **LARGE).to(dtype) for _ in range(2))
    got = gradients(on_gpu.to(GPU), GPU)
    expected = gradients(on_cpu.float(), torch.device("cpu"))
    for a, b in zip(got, expected, strict=True):
        assert error(a, b) < tolerance


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-3), (torch.bfloat16, 0.15)])
def test_the_sampler_reports_the_trainers_log_probs(dtype, tolerance):
    model = tiny("qwen2", **LARGE).to(dtype).to(GPU)
    found = answers(model)
    batch = pack_sequences([a.prompt_ids for a in found], [a.ids for a in found], GPU)
    trainer_n = Policy(model)(batch, 1.0)[0][batch.mask_bt]
    sampler_n = torch.tensor([x for a in found for x in a.logprobs], device=GPU)
    assert (trainer_n - sampler_n).abs().max() < tolerance
    if dtype == torch.float32:
        assert [a.ids for a in found] == [a.ids for a in answers(tiny("qwen2", **LARGE))]


@pytest.mark.parametrize(
    "overrides",
    [
        ("-m", "model.dtype=bfloat16,float32", "cluster=inline"),
        ("-m", "model=llama3_mini,olmo2_mini", "model.dtype=bfloat16"),
        ("model.dtype=bfloat16", "deepspeed.zero_stage=2", "deepspeed.offload_optimizer=true"),
        ("model.dtype=bfloat16", "deepspeed.zero_stage=3"),
        ("model.dtype=bfloat16", "tuning=lora", "deepspeed.gradient_checkpointing=true", "reward=random"),
        ("model.dtype=bfloat16", "algorithm.kl_coefficient=0.01"),
    ],
)
def test_a_sweep_trains_on_a_gpu(overrides, shell):
    shell.launch(*overrides, *SMOKE)
    runs = shell.sweep("status", "smoke")["runs"]
    assert {run["state"] for run in runs} == {"done"}
    assert {run["devices"] for run in runs} <= {gpu.visible for gpu in gpus()}
    for metrics in Path(shell.root, "runs", "cells").glob("*/metrics.jsonl"):
        rows = [json.loads(line) for line in metrics.read_text().splitlines()]
        assert any(row.get("memory_gb/update", 0) > 0 for row in rows)
        gaps = [row["train/sampler_difference"] for row in rows if "train/sampler_difference" in row]
        assert len(gaps) == 2 and max(gaps) < 0.1


def test_a_cell_that_asks_for_no_gpu_computes_on_the_cpu(shell):
    shell.launch("experiment=smoke", "resources.gpus=0")
    for run in shell.sweep("status", "smoke")["runs"]:
        assert (run["state"], run["devices"], run["cost"]["gpu_seconds"]) == ("done", "", 0)


def test_a_run_that_is_killed_goes_on_from_its_checkpoint(shell):
    overrides = (*SMOKE, "steps=12", "evaluation.every=12", "model.dtype=bfloat16", "cluster=inline")
    launch = shell.start(*overrides)
    while not list(Path(shell.root).glob("runs/cells/*/checkpoints/step_000003")):
        assert launch.poll() is None, "it ended before it wrote the third checkpoint"
        time.sleep(0.05)
    launch.kill()
    launch.wait()
    again = shell.launch(*overrides)
    assert "resumed after step" in again.stdout + again.stderr
    assert {run["state"] for run in shell.sweep("status", "smoke")["runs"]} == {"done"}
