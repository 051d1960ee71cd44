"""The queue of this machine, without a training: what it starts, what it leaves, what it says."""

from __future__ import annotations

import io
import os
import platform
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

from helpers.constants import ROOT, TINY
from helpers.made_up_statuses import made_up_status, status_of
from rewards.custom import FunctionSource
from sweep.dispatch.controller import LocalController
from sweep.dispatch.local import LocalQueue, _surroundings
from sweep.dispatch.plain import PlainLines
from sweep.plan.plan import plan_sweep
from sweep.plan.trials import MADE_UP, try_function
from sweep.run.directory import RunDirectory
from sweep.run.files import read_json, try_lock, write_json
from sweep.run.process import start_of
from sweep.run.ranks import STALLED_EXIT, Beat, Ranks
from sweep.run.state import Stall, State

SLEEP = "import time; time.sleep(600)"
KILLED = "import os; os.kill(os.getpid(), 9)"
STALL = Stall(attempt=2, reached=3, hosts=["n"], reason="it hangs")


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A queue of a baseline and a cell, and what it would start."""
    tasks = plan_sweep([*TINY, f"output_dir={tmp_path}", "cluster.share_imports=false"]).tasks
    for task in tasks:
        RunDirectory(task.directory).freeze(task.config, task.signature, task.identity, task.evaluations)
    made = LocalQueue(tasks, tmp_path, tasks[0].config.cluster)
    made.submitted = []
    monkeypatch.setattr(made, "_submit", lambda task, _: made.submitted.append(task.label) or Submitted())
    return made


class Submitted:
    """A job that has ended."""

    job_id, paths = "0", None

    def done(self) -> bool:
        return True


def states(queue: LocalQueue) -> list[tuple[str, str]]:
    return [(str(s.state), s.note) for s in queue._start_ready(queue._statuses())]


def test_two_launches_start_a_run_once(queue):
    baseline = RunDirectory(queue.tasks[0].directory)
    held = try_lock(baseline.starting)
    assert states(queue) == [("running", "being started by another launch"), ("queued", "")]
    assert queue.submitted == []
    # The other launch's job has ended by the time this one gets its turn.
    baseline.write_state(state=State.DONE)
    held.close()
    before = made_up_status("baseline", State.QUEUED)
    assert queue._start(queue.tasks[0], before).state == State.DONE
    assert queue.submitted == []


def test_what_gave_itself_up_is_started_again_and_says_why(queue):
    baseline, cell = (RunDirectory(task.directory) for task in queue.tasks)
    baseline.write_state(state=State.DONE)
    states(queue)
    label = queue.tasks[1].label
    assert queue.submitted == [label]
    cell.write_state(state=State.INTERRUPTED, attempt=2, stalls=[STALL], note="it hangs")
    assert states(queue)[1] == ("running", "starting again, it hangs")
    assert queue.submitted == [label, label]
    cell.write_state(state=State.FAILED, note="three times", stalls=[])
    assert states(queue)[1] == ("failed", "three times")
    # An interruption of another kind is for a person to look at.
    cell.write_state(state=State.INTERRUPTED, attempt=3, stalls=[STALL], note="killed by signal 9 (out of memory?)")
    assert states(queue)[1] == ("interrupted", "killed by signal 9 (out of memory?)")
    queue.stopping = True
    cell.write_state(state=State.INTERRUPTED, attempt=2, note="it hangs")
    assert [str(s.state) for s in queue._statuses()] == ["done", "interrupted"]
    assert queue.submitted == [label, label]


@pytest.mark.parametrize("stopping", [False, True])
def test_a_run_that_has_ended_is_not_taken_for_one_that_starts_while_its_process_leaves(queue, monkeypatch, stopping):
    monkeypatch.setattr(Submitted, "done", lambda _: False)
    monkeypatch.setattr(queue, "_signal", lambda *_: pytest.fail("it has ended by itself"))
    baseline, cell = (RunDirectory(task.directory) for task in queue.tasks)
    baseline.write_state(state=State.DONE)
    cell.write_state(state=State.INTERRUPTED, attempt=1)
    assert states(queue)[1] == ("running", "starting") and queue._statuses()[1].note == "starting"
    cell.write_state(state=State.INTERRUPTED, attempt=2, step=70)
    queue.stopping = stopping
    found = queue._statuses()[1]
    assert (found.state, found.note) == (State.RUNNING, "its process ends")
    if stopping:
        assert queue._ask_to_stop(queue.tasks[1], found) == found


def test_an_interrupted_launch_leaves_runs_on_other_machines_alone(queue, monkeypatch):
    for task in queue.tasks:
        run = RunDirectory(task.directory)
        run.write_state(state=State.RUNNING, host="node7", pid=os.getpid(), process_started=start_of())
        (run.path / "heartbeat").touch()
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a process of this machine was signalled"))
    queue.stopping = True
    found = queue._run(lambda statuses: None, time.sleep)
    assert [s.state for s in found] == [State.RUNNING] * 2
    assert all(s.note.endswith("runs on node7; give the command there") for s in found)


def test_an_interrupted_launch_says_what_it_waits_for(queue):
    run = RunDirectory(queue.tasks[1].directory)
    sleeping = subprocess.Popen([sys.executable, "-c", SLEEP])
    try:
        with run.exclusive():
            started = start_of(sleeping.pid)
            run.write_state(state=State.RUNNING, host=platform.node(), pid=sleeping.pid, process_started=started)
            ranks = Ranks(run.ranks / "meeting-1")
            ranks.open()
            ranks.write(Beat(0, "n", 1, 1.0, "rollout", time.time() - 7.2, changes=2, beats=1, patience=600.0))
            queue.stopping = True
            status = queue._ask_to_stop(queue.tasks[1], queue._statuses()[1])
        assert status.note == "stopping: it finishes its step and writes a checkpoint (rollout since 7 s)"
        assert sleeping.wait(60) == -signal.SIGTERM
    finally:
        sleeping.kill()


@pytest.mark.parametrize(
    ("heartbeat", "updated", "state", "note"),
    [
        (10, 60, "running", ""),
        (600, 60, "stalled", "no heartbeat for 10 min"),
        (10, 7200, "stalled", "no step for 120 min, 10 s are usual"),
    ],
)
def test_a_run_whose_process_stands_still_has_stalled(tmp_path, heartbeat, updated, state, note):
    run = RunDirectory(tmp_path)
    with run.exclusive():
        run.write_state(state=State.RUNNING, host=platform.node(), step=3, seconds_per_step=10.0)
        write_json(run.path / "state.json", read_json(run.path / "state.json") | {"updated": time.time() - updated})
        while not (run.path / "heartbeat").exists():
            time.sleep(0.01)
        os.utime(run.path / "heartbeat", (time.time() - heartbeat,) * 2)
        status = status_of(tmp_path, 4)
    assert (str(status.state), status.note) == (state, note)
    assert not status.ended


def test_runs_of_one_label_are_not_shown_in_turn():
    out = io.StringIO()
    show = PlainLines(Console(file=out, width=140))
    first = made_up_status("baseline of m", State.RUNNING, run="baseline-m-1")
    statuses = [first, made_up_status("baseline of m", State.QUEUED, run="baseline-m-2")]
    for _ in range(5):
        show.show(statuses)
    assert len(out.getvalue().splitlines()) == 2


SEGV = signal.strsignal(signal.SIGSEGV)


def controller(folder, codes: list[str]) -> LocalController:
    """One whose processes are Python programs that run already."""
    made = object.__new__(LocalController)
    folder.mkdir(exist_ok=True)
    made.folder, made.stderrs = folder, [(folder / f"{k}_log.err").open("a") for k in range(len(codes))]
    made.tasks = [subprocess.Popen([sys.executable, "-c", code]) for code in codes]
    return made


@pytest.mark.parametrize(
    ("codes", "state", "note"),
    [
        ([KILLED], "interrupted", "killed by signal 9 (out of memory?)"),
        (["raise SystemExit(1)", SLEEP], "failed", "ValueError: no"),
        (
            ["import os; os.kill(os.getpid(), 11)", SLEEP],
            "interrupted",
            "rank 0 was killed by signal 11 (Segmentation fault)",
        ),
        ([f"raise SystemExit({STALLED_EXIT})", SLEEP], "failed", "ValueError: no"),
    ],
    ids=["killed", "another failed", "one of two killed", "given up"],
)
def test_what_killed_a_process_is_in_the_state(tmp_path, monkeypatch, codes, state, note):
    monkeypatch.setattr("sweep.dispatch.controller.GRACE_SECONDS", 0.1)
    run = RunDirectory(tmp_path)
    made = controller(tmp_path / "attempts", codes)
    was = {"state": State.RUNNING} if len(codes) == 1 else {"state": State.FAILED, "note": "ValueError: no"}
    run.write_state(pid=made.tasks[0].pid, **was)
    made.wait()
    assert (str(run.read_state().state), run.read_state().note) == (state, note)


def test_a_job_in_which_one_process_had_not_begun_ends_at_once(tmp_path):
    made = controller(tmp_path / "attempts", ["import os; os.kill(os.getpid(), 15)", SLEEP])
    assert made.wait() == [-signal.SIGTERM, -signal.SIGKILL]


def test_a_job_that_is_still_importing_can_be_stopped(tmp_path):
    """submitit has its processes ignore SIGTERM; a stage listens only once torch is loaded."""
    (tmp_path / "slow_stage.py").write_text("from time import sleep\nprint('importing', flush=True)\nsleep(600)\n")
    code = (
        "import signal; from pathlib import Path; from sweep.dispatch.job import Job\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "Job('slow_stage', Path('.'), Path('meeting'))()\n"
    )
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    job = {"SUBMITIT_EXECUTOR": "local", "SUBMITIT_LOCAL_JOB_ID": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **job, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "importing\n"
        process.terminate()
        assert process.wait(60) == -signal.SIGTERM
    finally:
        process.kill()


def test_places_of_pythonpath_are_those_of_the_directory_in_which_a_launch_was_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "own::/elsewhere")
    (tmp_path / "code").mkdir()
    with _surroundings(tmp_path / "code", 1):
        places = os.environ["PYTHONPATH"].split(os.pathsep)
    assert places == [str(tmp_path / "code"), str(tmp_path / "own"), "/elsewhere"]
    assert os.environ["PYTHONPATH"] == "own::/elsewhere"


def test_a_function_is_tried_with_the_places_of_the_directory_in_which_a_launch_was_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "own")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "lengths.py").write_text("LONGEST = 5\n")
    source = (
        "from lengths import LONGEST\n\n\ndef short(group):\n    return [float(len(r.text) < LONGEST) for r in group]\n"
    )
    function = FunctionSource(directory=str(tmp_path), source=source)
    assert try_function("reward.target", "mine:short", function, MADE_UP, 2, detector=False).fault == ""
