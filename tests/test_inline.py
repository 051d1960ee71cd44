"""cluster=inline: real runs in this very process, one after the other, and what they leave of it."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from bdb import BdbQuit
from pathlib import Path

import pytest

from helpers.constants import TINY
from helpers.documented import bash_words, commands
from sweep.dispatch.launch import launch
from sweep.errors import UserError
from sweep.plan.plan import plan_sweep
from sweep.plan.view import plan_json
from sweep.run.directory import RunDirectory
from sweep.run.state import State

OWN = """
import os, signal, time
from pathlib import Path

def stops(group):
    breakpoint()
    return [float(len(r.text) % 2) for r in group]

def fails(group):
    raise KeyError("no such thing")

def interrupts(group):
    if not Path("interrupted").exists():
        Path("interrupted").touch()
        os.kill(os.getpid(), signal.SIGINT)
    return [float(len(r.text) % 2) for r in group]

def hangs(group):
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(600)
"""
OF_A_JOB = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "MASTER_ADDR",
    "MASTER_PORT",
    "DS_ACCELERATOR",
    "TOKENIZERS_PARALLELISM",
)
SHORT = [*TINY, "steps=2", "checks.try_rewards=false", "name=x"]


@pytest.fixture
def inline(tmp_path, cache_dir, monkeypatch):
    """Launches a sweep in this process, which is afterwards as it was before; returns the exit code."""
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)

    def here() -> tuple:
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)]
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        log = logging.getLogger()
        environment = {name: os.environ.get(name) for name in OF_A_JOB}
        return handlers, mask, environment, os.getcwd(), log.level, set(log.handlers)

    def run(*overrides: str) -> int:
        before = here()
        place = [f"output_dir={tmp_path / 'runs'}", f"cache_dir={cache_dir}", "cluster=inline"]
        code = launch([*SHORT, *overrides, *place])
        assert here() == before
        return code

    return run


def cells(root: Path) -> list[RunDirectory]:
    return [RunDirectory(path) for path in sorted((root / "runs" / "cells").iterdir())]


def test_several_cells_in_a_row_have_the_weights_of_the_local_cluster_bit_for_bit(inline, shell, tmp_path, cache_dir):
    (command,) = commands("python launch.py", pages=["docs/debug.md"])
    typed = bash_words(command, tmp_path)[2:]  # without `launch.py -m`
    assert inline(*typed) == 0
    mine = {run.path.name: run for run in cells(tmp_path)}
    assert len(mine) == 2 and all(run.read_config().cluster.kind == "inline" for run in mine.values())
    assert [s["state"] for s in shell.sweep("status", "look")["runs"]] == ["done"] * 3
    (tmp_path / "runs").rename(tmp_path / "inline")
    shell.launch("-m", *SHORT, *typed, "cluster=local", "cluster.threads=1")
    theirs = {run.path.name: run for run in cells(tmp_path)}
    assert mine.keys() == theirs.keys()  # the cluster is no part of what a run is
    for name, run in theirs.items():
        other = RunDirectory(tmp_path / "inline" / "cells" / name)
        for file in ("model.safetensors", "config.json"):
            assert (run.final / file).read_bytes() == (other.final / file).read_bytes()
        assert json.loads(run.result.read_text()) == json.loads(other.result.read_text())
        assert run.read_provenance()["code"] == other.read_provenance()["code"]
        assert run.read_provenance()["engine"] == "transformers"
        assert other.read_state().cost(None).seconds < run.read_state().cost(None).seconds  # no part of the launch


def test_a_breakpoint_stops_in_the_process_of_the_launch_and_may_stand_for_as_long_as_one_likes(
    inline, tmp_path, monkeypatch
):
    stood = []

    def hook() -> None:
        frame = sys._getframe(1)
        stood.append((os.getpid(), frame.f_code.co_filename, frame.f_code.co_name))
        if len(stood) == 1:
            time.sleep(1.5)

    monkeypatch.setattr(sys, "breakpointhook", hook)
    soon = ["checks.stall_minutes=0.001", "checks.stall_factor=1", "checks.stall_hours=0.0001"]  # 0.36 s
    assert inline("reward=custom", "reward.target=own:stops", "checks.try_rewards=true", *soon) == 0
    assert set(stood) == {(os.getpid(), str(tmp_path / "own.py"), "stops")}
    assert len(stood) == 2 * 4  # a group for each prompt, and none of the trial before the launch


@pytest.mark.parametrize(
    ("function", "says"), [("interrupts", "asked to stop by SIGINT"), ("hangs", "asked to stop by SIGINT")]
)
def test_ctrl_c_stops_the_run_and_the_launch_and_the_same_command_goes_on(inline, tmp_path, capfd, function, says):
    custom = ["reward=custom", f"reward.target=own:{function}", "seed=0,1"]
    assert inline(*custom) == 130
    assert says in capfd.readouterr().err
    first, second = cells(tmp_path)
    written = first.read_state()
    assert (written.state, written.note) == (State.INTERRUPTED, "stopped on request")
    assert written.step == int(function == "interrupts")  # the second Ctrl-C gives the step up
    assert not second.read_state().begun
    if function == "interrupts":
        assert inline(*custom) == 0
        assert [(r.read_state().state, r.read_state().step) for r in cells(tmp_path)] == [(State.DONE, 2)] * 2
        assert [row["step"] for row in first.read_metrics()] == [1, 2]


def test_leaving_the_debugger_stops_the_launch(inline, tmp_path, monkeypatch):
    def quit_at_once() -> None:
        raise BdbQuit

    monkeypatch.setattr(sys, "breakpointhook", quit_at_once)
    assert inline("reward=custom", "reward.target=own:stops", "seed=0,1") == 130
    assert [run.read_state().state for run in cells(tmp_path)] == [State.INTERRUPTED, State.QUEUED]


def test_what_fails_shows_its_traceback_and_the_next_cell_runs(inline, tmp_path, capsys):
    assert inline("reward=custom", "reward.target=own:fails", "seed=0,1") == 1
    shown = capsys.readouterr().out
    assert shown.count("Traceback (most recent call last)") >= 2 and 'raise KeyError("no such thing")' in shown
    assert f'File "{tmp_path / "own.py"}", line 10, in fails' in shown
    for run in cells(tmp_path):
        assert run.read_state().state == State.FAILED
        assert "own:fails raised KeyError" in run.read_state().error


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["deepspeed.processes=2"], "deepspeed.processes=2 asks for 2; set deepspeed.processes=1, or choose cluster="),
        (["resources.gpus=2"], "resources.gpus=2 asks for 2; set resources.gpus=1, or choose cluster=local"),
    ],
)
def test_several_processes_are_refused(overrides, words, tmp_path):
    with pytest.raises(UserError) as caught:
        plan_sweep([*TINY, *overrides, "cluster=inline", f"output_dir={tmp_path / 'runs'}"])
    assert words in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_it_plans_as_the_local_cluster_does_with_one_process_at_a_time(tmp_path):
    place = [*TINY, "seed=0,1", f"output_dir={tmp_path}"]
    mine, local = (plan_sweep([*place, *more]) for more in (["cluster=inline"], ["cluster.max_parallel=1"]))
    assert plan_json(mine) == plan_json(local)
    notes = plan_sweep([*place, "cluster=inline", "resources.hours=2"]).notes
    assert notes[0] == "no cell reads resources.hours, because cluster=inline limits neither"
