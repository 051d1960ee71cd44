"""The state of a run: written from everywhere at once, read by everybody alike, and signals for its process alone."""

from __future__ import annotations

import json
import platform
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers.constants import ROOT
from sweep.errors import UserError
from sweep.run.directory import RunDirectory, run_directories, run_directory
from sweep.run.process import is_running, start_of
from sweep.run.state import ACTIVE, RunState, State

WRITER = """
import sys
from sweep.run.directory import RunDirectory
for count in range(1, 101):
    RunDirectory(sys.argv[1]).write_state(**{sys.argv[2]: count})
"""


def test_threads_and_processes_write_at_once_and_lose_nothing(tmp_path):
    """Each thread and each process writes a key of its own, and a reader never sees half a file."""
    run = RunDirectory(tmp_path)
    keys = {"reward": 1.0, "accuracy": 2.0, "seconds_per_step": 3.0, "tokens_per_second": 4.0, "save_seconds": 5.0}
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    processes = [subprocess.Popen([*command, key], cwd=ROOT) for key in ("step", "steps")]

    def write(item: tuple[str, float]) -> None:
        key, factor = item
        for count in range(1, 101):
            run.write_state(**{key: count * factor})
            assert getattr(run.read_state(), key) == count * factor

    with ThreadPoolExecutor(len(keys)) as pool:
        list(pool.map(write, keys.items()))
    assert [process.wait() for process in processes] == [0, 0]
    written = run.read_state()
    assert {key: getattr(written, key) for key in keys} == {key: 100 * factor for key, factor in keys.items()}
    assert (written.step, written.steps) == (100, 100)
    assert run.unfinished() == []


def test_a_key_of_another_version_stays_and_one_of_none_is_an_error(tmp_path):
    run = RunDirectory(tmp_path)
    assert not run.read_state().begun and run.read_state().state is State.QUEUED
    (tmp_path / "state.json").write_text('{"state": "done", "step": 3, "of_tomorrow": [1]}')
    run.write_state(step=4)
    assert json.loads((tmp_path / "state.json").read_text()).items() >= {"of_tomorrow": [1], "step": 4}.items()
    assert (run.read_state().state, run.read_state().step, run.read_state().begun) == (State.DONE, 4, True)
    with pytest.raises(TypeError, match="setp"):
        run.write_state(setp=5)
    with pytest.raises(ValueError, match="sleeping"):
        run.write_state(state="sleeping")
    assert run.read_state().step == 4


def test_a_state_is_its_word():
    assert f"{State.TIMED_OUT}" == str(State.TIMED_OUT) == "timed out" == State.TIMED_OUT
    assert json.dumps({"state": State.DONE}) == '{"state": "done"}'
    assert {state for state in State if not state.ended} == set(ACTIVE)
    assert RunState(step=7).reached == 7 and RunState(step=7, progress=40).reached == 40


def test_a_run_directory_knows_its_place_and_name(tmp_path):
    path = run_directory(tmp_path, "cells", "qwen2_mini-random-s0", "0123456789ab")
    path.mkdir(parents=True)
    (run,) = run_directories(tmp_path)
    assert (run.path, run.root, run.name, run.sign) == (path, tmp_path, "qwen2_mini-random-s0", "0123456789ab")
    assert run_directories(tmp_path, "stages") == []


def test_only_the_recorded_process_on_this_machine_is_signalled(tmp_path):
    run = RunDirectory(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    started = start_of(process.pid)
    here = platform.node()
    try:
        run.write_state(state=State.RUNNING, pid=process.pid, process_started=started, host="node7")
        with pytest.raises(UserError, match="runs on node7"):
            run.signal(signal.SIGKILL)
        run.write_state(host=here, process_started=None)
        with pytest.raises(UserError, match="older version"):
            run.signal(signal.SIGKILL)
        run.write_state(process_started=started - 60)  # another process with the number of one that is gone
        assert run.signal(signal.SIGKILL) is False
        assert process.poll() is None and is_running(process.pid, started)
        run.write_state(process_started=started)
        assert run.signal(signal.SIGTERM) is True
        assert process.wait(timeout=10) == -signal.SIGTERM
        assert run.signal(signal.SIGTERM) is False
    finally:
        process.kill()
