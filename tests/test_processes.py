"""Two processes over gloo learn what one learns."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from helpers.constants import TINY
from helpers.processes import python_processes
from helpers.recorded_rollouts import recorded_rollouts
from models.mini.pretrain import _new_model, cached_mini
from models.mini.tokenizer import build_tokenizer
from sweep.plan.compose import compose_cells
from sweep.run.directory import RunDirectory
from sweep.run.files import read_json
from sweep.run.state import State

STAGES = (1, 2, 3)


@pytest.fixture(scope="module")
def updated(tmp_path_factory) -> Path:
    """Run directories of every ZeRO stage, updated by one process and by two; and the model that they began with."""
    directory = tmp_path_factory.mktemp("updated")
    for stage in STAGES:
        (cell,) = compose_cells([*TINY, f"deepspeed=zero{stage}", "deepspeed.micro_batch_tokens=36", "seed=1"])
        (directory / "runs" / f"zero{stage}").mkdir(parents=True)
        RunDirectory(directory / "runs" / f"zero{stage}").freeze(cell.config, "test", {}, {})
    model = cell.config.model
    torch.manual_seed(0)
    _new_model(model.family, model.mini, build_tokenizer(model.family)).save_pretrained(directory / "model")
    (directory / "rollouts.json").write_text(json.dumps(recorded_rollouts(2)))
    for world_size in (1, 2):
        python_processes("tests/programs/one_process_of_two.py", world_size, directory)
    return directory


@pytest.mark.parametrize("stage", STAGES)
def test_one_and_two_processes_agree_in_fp32(updated, stage):
    run = updated / "runs" / f"zero{stage}"
    losses = [json.loads((run / f"losses-{n}.json").read_text()) for n in (1, 2)]
    assert losses[1] == [pytest.approx(row, rel=1e-5, abs=1e-8) for row in losses[0]]
    one, two = (load_file(run / f"weights-{n}.safetensors") for n in (1, 2))
    before = load_file(updated / "model" / "model.safetensors")
    assert any((one[name] != before[name]).any() for name in before)
    for name in one:
        difference = torch.linalg.vector_norm(one[name] - two[name]) / torch.linalg.vector_norm(one[name])
        assert difference < 1e-5, name


def test_a_cell_trains_on_two_processes_in_bfloat16(shell):
    shell.launch(*TINY, "model.dtype=bfloat16", "name=two", "deepspeed.processes=2", "steps=2")
    (cell,) = shell.sweep("compare", "two")["cells"]
    assert cell["state"] == "done"
    run = RunDirectory(cell["directory"])
    assert [row["step"] for row in run.read_metrics()] == [1, 2]
    assert len(list(run.attempts.glob("*_1_log.out"))) == 1


def test_a_process_that_stands_still_costs_no_row(shell, tmp_path):
    """One of two processes is stopped; two launches at once share the work and start the run again, once."""
    sweep = [*TINY, "name=still", "deepspeed.processes=2", "steps=20", "evaluation.every=20", "checkpoint.every=3"]
    sweep += ["checks.stall_minutes=0.1", "checks.stall_factor=2"]
    shell.launch(*sweep)
    (path,) = (tmp_path / "runs" / "cells").iterdir()
    expected = comparable(RunDirectory(path))
    assert len(expected) == 20
    path.rename(tmp_path / "undisturbed")

    launchers = [shell.start(*sweep), shell.start(*sweep)]
    run = RunDirectory(path)
    wait_until(lambda: run.read_state().step >= 4)
    (file,) = run.ranks.glob("*/1.json")
    stopped = read_json(file)["pid"]
    os.kill(stopped, signal.SIGSTOP)
    assert [launcher.wait(timeout=300) for launcher in launchers] == [0, 0]
    assert comparable(run) == expected
    state = run.read_state()
    assert state.state == State.DONE and state.attempt >= 2
    assert len(list(run.attempts.glob("*_0_log.out"))) == state.attempt
    log = run.log.read_text()
    assert "no progress: rank 1 has not answered" in log and "resumed after step" in log
    assert "stacks of rank 0:" in log and "rank 1 does not answer, so there are no stacks of it" in log
    assert not psutil.pid_exists(stopped)


def comparable(run: RunDirectory) -> list[dict]:
    """Metrics rows without what a clock or the allocator decides."""
    rows = run.read_metrics()
    return [{k: v for k, v in row.items() if not k.startswith(("timing_s/", "perf/", "memory_gb/"))} for row in rows]


def wait_until(holds, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_mini_is_whole_whichever_process_makes_it(tmp_path, monkeypatch):
    (cell,) = compose_cells(TINY)
    model = cell.config.model
    whole = cached_mini(model.family, model.mini, tmp_path / "alone")
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda group=None: 1)
    second = cached_mini(model.family, model.mini, tmp_path / "second")
    assert sorted(p.name for p in second.iterdir()) == sorted(p.name for p in whole.iterdir())
    assert (second / "config.json").read_text() == (whole / "config.json").read_text()
    expected, made = (load_file(place / "model.safetensors") for place in (whole, second))
    assert expected.keys() == made.keys()
    assert all(torch.equal(expected[name], made[name]) for name in expected)
