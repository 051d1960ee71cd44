"""The demo's path for real, in a small form: Hydra → submitit → DeepSpeed → metrics → comparison."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import time
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from helpers.constants import TINY
from helpers.made_up_statuses import status_of
from helpers.shells import Shell
from sweep.data.problems import load_problems
from sweep.run.directory import RunDirectory
from sweep.run.provenance import code_hash, git_commit
from sweep.run.responses import read_responses


def cells(tmp_path: Path) -> dict[str, RunDirectory]:
    found = [RunDirectory(p) for p in sorted((tmp_path / "runs" / "cells").iterdir())]
    return {run.path.name.rpartition("-")[0]: run for run in found}


def comparable(run: RunDirectory) -> list[dict]:
    """Metrics rows without what a clock or the allocator decides."""
    rows = run.read_metrics()
    return [{k: v for k, v in row.items() if not k.startswith(("timing_s/", "perf/", "memory_gb/"))} for row in rows]


def test_a_sweep_from_the_shell_to_the_comparison(shell, tmp_path):
    sweep = ["-m", "model=qwen2_mini,llama3_mini", "reward=ground_truth,random", "name=small", *TINY]
    sweep += ["steps=2", "tracking.mode=offline"]
    done = shell.launch(*sweep)
    assert "model=llama3_mini reward=random seed=0  done" in done.stdout
    assert "no evidence for or against the paper" in done.stdout

    comparison = shell.sweep("compare", "small")
    assert comparison["sweeps"] == ["small"]
    assert len(comparison["cells"]) == 4
    for cell in comparison["cells"]:
        assert cell["state"] == "done"
        assert 0 <= cell["base_accuracy"] <= 1 and 0 <= cell["final_accuracy"] <= 1
        assert 0 <= cell["base_code"] <= 1 and 0 <= cell["final_code"] <= 1
    assert [s["state"] for s in shell.sweep("status", "small")["runs"]] == ["done"] * 6

    run = cells(tmp_path)["qwen2_mini-random-s0"]
    assert_explains_itself(run)
    # The whole sweep again: nothing to do, the same table.
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("metrics.jsonl")}
    again = shell.launch(*sweep)
    assert "4 cells, 4 done before" in again.stdout
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("metrics.jsonl")}


def assert_explains_itself(run: RunDirectory) -> None:
    config = run.read_config()
    assert config.reward.name == "random" and config.optimizer.learning_rate == config.model.learning_rate
    assert run.path.name.endswith(run.signature)
    provenance = json.loads(run.provenance.read_text())
    assert provenance["packages"]["deepspeed"]
    assert (provenance["code"], provenance["git"]) == (code_hash(), git_commit())
    rows = run.read_metrics()
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert all(v is None or math.isfinite(v) for k, v in row.items() if k != "evaluation")
    assert "eval/accuracy" in rows[-1]
    samples = [json.loads(line) for line in run.samples.read_text().splitlines()]
    assert {s["step"] for s in samples} == {1, 2}
    assert all(s["reward"] in (0.0, 1.0) and isinstance(s["response"], str) for s in samples)
    assert "step 2/2" in run.log.read_text()
    assert run.read_state().state == "done"
    assert sorted(p.name for p in run.checkpoints.glob("step_*")) == ["step_000001", "step_000002"]
    assert not (run.path / "wandb").exists()  # tracked offline: `sync` reads metrics.jsonl
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(run.final)
    assert tokenizer.decode(tokenizer("```python\nx=3+7")["input_ids"]) == "```python\nx=3+7"
    assert AutoModelForCausalLM.from_pretrained(run.final).num_parameters() > 0


@pytest.fixture(scope="module")
def at_a_stretch(tmp_path_factory, cache_dir) -> Path:
    """Where a cell was trained without an end in between; tests write nothing into it."""
    root = tmp_path_factory.mktemp("stretch")
    Shell(root, cache_dir).launch(*TINY)
    return root


@pytest.fixture
def with_baseline(at_a_stretch, tmp_path) -> None:
    """The baseline of TINY's model is evaluated, so that a launch begins with training at once."""
    shutil.copytree(at_a_stretch / "runs" / "stages", tmp_path / "runs" / "stages")


def test_four_steps_equal_two_and_two_resumed_bit_for_bit(at_a_stretch, shell, tmp_path):
    once = next(iter(cells(at_a_stretch).values()))
    expected = comparable(once)
    weights = load_file(once.final / "model.safetensors")

    shell.launch(*TINY, "steps=2")
    half = next(iter(cells(tmp_path).values()))
    assert [row["step"] for row in half.read_metrics()] == [1, 2]
    shell.launch(*TINY, "steps=4")
    assert half.read_state().attempt == 2
    assert comparable(half) == expected
    kept = [{file.name: file.read_bytes() for file in run.responses.iterdir()} for run in (once, half)]
    assert len(kept[0]) == 4 and kept[0] == kept[1]
    resumed = load_file(half.final / "model.safetensors")
    assert resumed.keys() == weights.keys()
    assert all(torch.equal(resumed[name], weights[name]) for name in weights)


@pytest.mark.usefixtures("with_baseline")  # so that the waits below are for training alone
def test_an_interrupted_run_goes_on_and_has_every_step_once(shell, tmp_path):
    long, steps = [*TINY, "steps=400", "evaluation.every=400", "checkpoint.every=5"], 0
    for victim, number, code in (
        ("launcher", signal.SIGINT, 130),
        ("launcher", signal.SIGTERM, 130),
        ("job", signal.SIGKILL, 1),
    ):
        launcher = shell.start(*long)
        run = wait_for_step(tmp_path, steps + 7)
        os.kill(launcher.pid if victim == "launcher" else run.read_state().pid, number)
        assert launcher.wait(timeout=120) == code
        status = status_of(run.path, 400)
        words = "killed by signal 9 (out of memory?)" if number == signal.SIGKILL else "stopped on request"
        assert (status.state, status.note) == ("interrupted", words)
        steps = len(run.read_metrics())
        assert steps < 400
    shell.launch(*long, f"steps={steps + 3}")
    assert [row["step"] for row in run.read_metrics()] == list(range(1, steps + 4))
    responses = read_responses(run.responses, ["step", "slot", "sample"]).to_pylist()
    assert [tuple(row.values()) for row in responses] == [*product(range(1, steps + 4), range(4), range(4))]
    assert run.read_state().state == "done"


@pytest.mark.usefixtures("with_baseline")
def test_a_killed_launchers_jobs_are_adopted(shell, tmp_path):
    long = [*TINY, "steps=150", "evaluation.every=150"]
    launcher = shell.start(*long)
    run = wait_for_step(tmp_path, 3)
    launcher.kill()
    launcher.wait()
    before = run.read_state()
    shell.launch(*long)
    after = run.read_state()
    assert after.state == "done"
    assert (after.attempt, after.pid) == (before.attempt, before.pid)
    assert [row["step"] for row in run.read_metrics()] == list(range(1, 151))


def test_a_failure_is_a_failure(shell, tmp_path):
    empty = tmp_path / "no weights"
    empty.mkdir()
    broken = [*TINY, "name=broken", "model.mini=null", f"model.path={empty}", "reward=random,ground_truth"]
    broken = [o for o in broken if not o.startswith("model.mini.")]
    done = shell.launch(*broken, check=False)
    assert done.returncode == 1
    assert "failed" in done.stdout and "blocked" in done.stdout
    stage, *runs = shell.sweep("status", "broken")["runs"]
    assert stage["state"] == "failed" and stage["note"].startswith("ValueError: ")
    assert [r["state"] for r in runs] == ["blocked", "blocked"]
    assert [c["state"] for c in shell.sweep("compare", "broken")["cells"]] == ["blocked", "blocked"]


def test_long_prompts_are_left_out_and_counted_never_cut(shell, tmp_path):
    problems = tmp_path / "problems.jsonl"
    rows = [{"prompt": "1+" * 40 + str(i) if i % 2 else f"{i}+2-3", "answer": str(i)} for i in range(40)]
    long = {row["prompt"] for row in rows[1::2]}
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    limits = ["rollout.max_prompt_tokens=32", "data.held_out=0.2"]
    shell.launch(*TINY, *limits, "steps=1", "data=jsonl", f"data.path={problems}", "tracking.sample_groups=4")
    run = next(iter(cells(tmp_path).values()))
    counted = run.read_state().prompts_left_out
    held_out = [p.question for p in load_problems(run.read_config().data, "test")]
    trained_on = [p.question for p in load_problems(run.read_config().data, "train")]
    assert counted == {"train": len(long & set(trained_on)), "test": len(long & set(held_out))}
    assert counted["train"] > 0
    assert not {json.loads(line)["question"] for line in run.samples.read_text().splitlines()} & long
    data = run.read_state().data
    assert {split: (found["rows"], found["used"]) for split, found in data.items()} == {
        "train": (40, 32),
        "test": (40, 4),
    }
    none = shell.launch(*TINY, "data=jsonl", f"data.path={problems}", "rollout.max_prompt_tokens=2", check=False)
    assert none.returncode == 1 and "rollout.max_prompt_tokens=2: every" in none.stdout


def wait_for_step(tmp_path: Path, step: int) -> RunDirectory:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in tmp_path.glob("runs/cells/*/state.json"):
            run = RunDirectory(path.parent)
            if run.read_state().step >= step:
                return run
        time.sleep(0.1)
    raise TimeoutError(f"no run reached step {step}")
