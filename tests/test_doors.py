"""What makes, changes, stops and removes a run: one set of rules, and nothing that is asked for is dropped silently."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from helpers.constants import TINY
from helpers.written_sweeps import finish, finish_all
from sweep.__main__ import main
from sweep.dispatch import manage, on_slurm, slurm
from sweep.dispatch.disk import garbage
from sweep.dispatch.manage import retry
from sweep.dispatch.select import Run, runs, select
from sweep.errors import UserError
from sweep.plan.plan import plan_sweep
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.run.ledger import Sweep, read_sweep, record
from sweep.run.state import State
from sweep.run.status import Status

SLURM = [*TINY, "name=s", "cluster=slurm", "reward=random,format", "cluster.account=me"]


def launched(root: Path, *typed: str) -> Sweep:
    """A sweep of which the baseline is done and every cell failed."""
    plan = plan_sweep([*SLURM, f"output_dir={root}", *typed])
    stages, cells = ([task.entry for task in tasks] for tasks in (plan.stages, plan.cells))
    for task in plan.tasks:
        finish(task)
    for task in plan.cells:
        RunDirectory(task.directory).write_state(state="failed", step=2)
        RunDirectory(task.directory).result.unlink()
    return record("s", plan.root, stages, cells, [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        # What `plan` refuses.
        ("deepspeed.processes=3", "reward=random seed=0; model=qwen2_mini reward=format seed=0: "
         "algorithm.prompts_per_step=4 does not divide by deepspeed.processes=3"),
        ("cluster.processes_per_node=0", "cluster.processes_per_node=0: Input should be greater"),
        ("cache_dir=/dev/null", "cache_dir=/dev/null: /dev/null is a file"),
        ("deepspeed=zero3", "deepspeed='zero3': is a section"),
        ("resources.gpu=2", "names a kind of GPU; how many there are is said by resources.gpus"),
        ("resources.gpsu=2", "resources.gpsu: no such key. Did you mean resources.gpu or resources.gpus?"),
        # What nothing would read.
        ("resources.micro_batch_tokens=64", "no such key any more; in its place there is deepspeed.micro_batch_tokens"),
        ("model.resources.rollout_cache_gb=2", "rollout.cache_gb took its value from model.resources.rollout_cache_gb"),
        ("model.resources.gradient_checkpointing=true", "give --set deepspeed.gradient_checkpointing=…"),
        ("model.resources.hours=3", "give --set resources.hours=…"),
        ("model.resources.micro_batch_tokens=3", "give --set deepspeed.micro_batch_tokens=…"),
        ("tracking.project=other", "would change nothing, because tracking.mode=disabled"),
        # What a launch decides.
        ("steps=8", "steps is decided by the launch"),
        ("output_dir=elsewhere", "output_dir is decided by the launch"),
        ("labels.jobs=2", "labels.jobs is decided by the launch"),
        ("~cluster.account", "a retry takes one value"),
        ("resources.hours=1,2", "a retry takes one value"),
        ("seed=3", "that would be another run"),
    ],
)  # fmt: skip
def test_a_retry_refuses_what_a_launch_refuses_and_what_would_change_nothing(tmp_path_factory, change, words):
    root = tmp_path_factory.getbasetemp() / "failed"
    sweep = read_sweep(root, "s") if root.exists() else launched(root)
    with pytest.raises(UserError) as caught:
        retry(sweep, [], [], [change], False)
    assert words in str(caught.value)


def test_a_retry_submits_what_never_was_and_says_where_there_is_nothing_to_do(tmp_path, monkeypatch, capsys):
    """A launch that died in the middle leaves cells that are frozen, and that no job was ever submitted for."""
    sweep = launched(tmp_path)
    lost = RunDirectory(sweep.directory(sweep.cells[1]))
    (lost.path / "state.json").unlink()
    submitted = []
    monkeypatch.setattr(on_slurm, "check_requests", lambda tasks, root: submitted.append([t.label for t in tasks]))
    monkeypatch.setattr(on_slurm, "submit", lambda *_: submitted.append("submit") or manage.Submitted())
    retry(sweep, [], [], ["resources.hours=5", "deepspeed.micro_batch_tokens=64"], False)
    assert submitted == [[cell.label for cell in sweep.cells], "submit"]
    for cell in sweep.cells:
        RunDirectory(sweep.directory(cell)).write_state(state="done", step=4, steps=4)
    assert main(["retry", "s", "reward=*", "--output-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "nothing to retry: of 2 runs 2 done\n"


AXES = [
    {"model": "a", "reward": "python", "seed": "0", "reward.target": "own:f"},
    {"model": "a", "reward": "format", "seed": "1", "reward.target": "own[2]:f"},
    {"model": "b", "reward": "random", "seed": "0", "prompt.system": "be brief, please"},
]


def listed() -> list[Run]:
    """A stage and three cells."""
    made = [("baseline of a", {}), *((" ".join(f"{k}={v}" for k, v in axes.items()), axes) for axes in AXES)]
    return [
        Run(
            Path(f"/nowhere/cells/run{n}-x"),
            Status(
                Entry(label, "m", axes, "a", "b", 0, f"{n}f00d0123456"[:12], 4 * bool(axes), f"cells/run{n}-x", []),
                State.DONE,
            ),
        )
        for n, (label, axes) in enumerate(made)
    ]


@pytest.mark.parametrize(
    ("words", "places"),
    [
        ([], [0, 1, 2, 3]),
        (["reward=python", "reward=format"], [1, 2]),  # any of the values of one axis
        (["reward=python", "reward=format", "seed=1"], [2]),
        (["reward=*"], [1, 2, 3]),  # a stage has no reward
        (["run1*", "run3-x"], [1, 3]),
        (["2f00"], [2]),
        (["baseline of a"], [0]),
        (["reward.target=own[2]:f"], [2]),  # as it is shown, though [2] is a pattern
        (["prompt.system=be brief, please"], [3]),
        (["model=a reward=format seed=1 reward.target=own[2]:f"], [2]),  # a whole label in one word
    ],
)
def test_every_word_of_a_selection_counts_and_what_is_shown_matches(words, places):
    found = listed()
    assert [found.index(run) for run in select(found, words)] == places


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reward="], "reward=: no run has this value; there are format, python, random"),
        (["reward=python", "reward=frmat"], "reward=frmat: no run has this value"),
        (["rewrd=python"], "rewrd: no axis of this sweep; there are model, prompt.system, reward"),
        ([""], "'': matches none of"),
        (["run1*", "nothing"], "nothing: matches none of"),
        (["model=b", "reward=python"], "model=b reward=python: no run matches all of these"),
    ],
)
def test_a_word_that_matches_nothing_is_refused(words, said):
    with pytest.raises(UserError) as caught:
        select(listed(), words)
    assert said in str(caught.value)


def test_axes_are_shown_without_the_quotes_and_escapes_of_hydras_grammar(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text("def good(group): ...\ndef bad(group): ...\n")
    plan = plan_sweep(["reward=custom", "reward.target=own:good,own:bad", "prompt.system='be brief, please',null"])
    assert {task.axes["reward.target"] for task in plan.cells} == {"own:good", "own:bad"}
    assert {task.axes["prompt.system"] for task in plan.cells} == {"be brief, please", "null"}


@pytest.mark.parametrize("name", ["", "..", "."])
def test_a_name_that_is_none_is_no_sweep(tmp_path, name, capsys):
    (tmp_path / "sweeps" / "there").mkdir(parents=True)
    assert main(["status", name, "--output-dir", str(tmp_path)]) == 2
    assert "no such sweep" in capsys.readouterr().err


def test_watching_and_json_exclude_one_another(tmp_path, capsys):
    (tmp_path / "sweeps" / "s").mkdir(parents=True)
    assert main(["status", "s", "--json", "--watch", "--output-dir", str(tmp_path)]) == 2
    assert "leave one out" in capsys.readouterr().err


@pytest.fixture
def local(tmp_path):
    """A finished sweep of two cells that ran on this machine."""
    finish_all(plan := plan_sweep([*TINY, "name=s", f"output_dir={tmp_path}", "reward=random,format"]))
    return plan


def on(capsys, root: Path, *words: str) -> tuple[int, str]:
    """Exit code and output of a command on the sweep."""
    code = main([words[0], "s", *words[1:], "--output-dir", str(root)])
    shown = capsys.readouterr()
    return code, shown.out + shown.err


def test_cancel_says_what_it_did_not_stop_and_why(tmp_path, local, capsys):
    code, said = on(capsys, tmp_path, "cancel", "reward=random")
    assert code == 1 and "not stopped: model=qwen2_mini reward=random seed=0: has ended (done)" in said
    assert on(capsys, tmp_path, "cancel") == (0, "nothing was stopped: of 3 runs 3 done\n")

    run = RunDirectory(local.cells[0].directory)
    run.write_state(state="running", host="node7", pid=os.getpid(), process_started=psutil.Process().create_time())
    (run.path / "heartbeat").touch()
    code, said = on(capsys, tmp_path, "cancel")
    assert code == 1 and "runs on node7; give the command there" in said and "format" not in said


def test_cancel_stops_the_recorded_process_and_no_other_that_has_its_number(tmp_path, local, capsys):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    started = psutil.Process(process.pid).create_time()
    run = RunDirectory(local.cells[0].directory)
    with run.exclusive():
        run.write_state(state="running", host=platform.node(), pid=process.pid, process_started=started - 60)
        code, said = on(capsys, tmp_path, "cancel", "reward=random", "reward=format")
        assert code == 1 and "its process is gone" in said and process.poll() is None
        run.write_state(process_started=started)
        code, said = on(capsys, tmp_path, "cancel", "reward=random", "reward=format")
        assert code == 0 and "cancelled model=qwen2_mini reward=random" in said and "reward=format seed=0: has" in said
    assert process.wait(10) == -15


def test_a_job_that_slurm_will_not_cancel_is_named_with_its_words(monkeypatch):
    found = listed()
    queued = [replace(run, status=replace(run.status, state=State.QUEUED, job=f"7_{n}")) for n, run in enumerate(found)]

    def cancelled(jobs):
        if "7_1" in jobs:
            raise slurm.SlurmError("scancel: Access/permission denied for job 7_1")

    monkeypatch.setattr(manage, "runs", lambda _: queued)
    monkeypatch.setattr(slurm, "cancel", cancelled)
    done = manage.cancel(None, [])
    assert [run.status.job for run in done.stopped] == ["7_0", "7_2", "7_3"]
    assert [(run.status.job, why) for run, why in done.left] == [
        ("7_1", "scancel: Access/permission denied for job 7_1")
    ]


def test_remove_takes_cells_out_of_a_sweep_and_keeps_what_they_computed(tmp_path, local, capsys):
    base, (random, other) = local.stages[0], local.cells
    code, said = on(capsys, tmp_path, "remove", "reward=random")
    command = f"`python -m sweep remove s reward=random --yes --output-dir {tmp_path}`"
    assert code == 0 and "1 run; " in said and command in said and str(random.directory) in said
    assert len(read_sweep(tmp_path, "s").cells) == 2  # nothing was asked for yet
    code, said = on(capsys, tmp_path, "remove", "baseline*", "--yes")
    assert code == 2 and said.startswith("baseline of qwen2_mini: model=qwen2_mini reward=")

    RunDirectory(random.directory).write_state(state="running", host="node7")
    (random.directory / "heartbeat").touch()
    code, said = on(capsys, tmp_path, "remove", "reward=random", "--yes")
    assert code == 2 and "is running; cancel it first" in said
    RunDirectory(random.directory).write_state(state="failed")
    (random.directory / "heartbeat").unlink()

    assert on(capsys, tmp_path, "remove", "reward=random", "--yes")[0] == 0
    assert [cell.reward for cell in read_sweep(tmp_path, "s").cells] == ["format"]
    assert [item.path for item in garbage(tmp_path)] == [random.directory] and random.directory.is_dir()
    assert on(capsys, tmp_path, "remove", "--yes")[0] == 0
    assert {item.path for item in garbage(tmp_path)} == {random.directory, other.directory, base.directory}
    assert on(capsys, tmp_path, "status") == (
        2,
        f"s: no such sweep; no sweep was launched into {tmp_path} yet\n  --output-dir names another output directory\n",
    )
    record("s", tmp_path, [base.entry], [random.entry], [])  # as another launch does
    assert [run.entry.reward for run in runs(read_sweep(tmp_path, "s"))][1:] == ["random"]
