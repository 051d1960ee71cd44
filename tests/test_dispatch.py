"""What dispatch decides around Slurm, without one: claims, arrays, joined states, what may be deleted."""

from __future__ import annotations

import os
import platform
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.constants import TINY
from helpers.made_up_statuses import made_up_status, status_of
from sweep.config.cell import CellConfig
from sweep.dispatch.disk import garbage, remove
from sweep.dispatch.local import LocalQueue
from sweep.dispatch.shapes import _index_list, array_throttles, split_evenly
from sweep.dispatch.slurm import JobView, error_text, expand
from sweep.dispatch.states import combine
from sweep.errors import UserError
from sweep.job.attempt import Interrupted, StopRequest
from sweep.plan.plan import plan_sweep
from sweep.run.checkpoints import write_manifest
from sweep.run.claims import Claim, claim, claims, latest_claim, new_submission, read_submission
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.run.files import write_json
from sweep.run.ledger import read_sweep, record
from sweep.run.state import RunState, State


def test_only_one_launch_gets_the_next_attempt(tmp_path):
    assert latest_claim(tmp_path) is None
    assert claim(tmp_path, None, "first", 3, "")
    assert not claim(tmp_path, None, "second", 0, "")  # it looked before the first one claimed
    seen = latest_claim(tmp_path)
    assert seen == Claim(1, "first", 3, "")
    assert claim(tmp_path, seen, "second", 0, "timed out")
    assert [c.submission for c in claims(tmp_path)] == ["first", "second"]
    assert not list(tmp_path.glob(".claim-*"))


def test_an_intent_is_waited_for_while_its_launch_may_live(tmp_path):
    mine = new_submission(tmp_path).write(runs=["cells/a"], modules=["m"])
    assert read_submission(tmp_path, mine.id) == mine
    mine.file.unlink()
    with pytest.raises(UserError, match=rf"{re.escape(str(mine.file))}: gone"):
        read_submission(tmp_path, mine.id)
    assert mine.owner_is_alive and mine.host == platform.node()
    assert not replace(mine, process_started=mine.process_started - 60).owner_is_alive  # another with its number
    elsewhere = replace(mine, host="login2", pid=1)
    assert elsewhere.owner_is_alive
    assert not replace(elsewhere, created=time.time() - 600).owner_is_alive
    assert mine.element(2) is None and mine.write(job="17").element(2) == "17_2"


def test_arrays_are_no_larger_than_the_cluster_takes():
    assert [len(p) for p in split_evenly(range(1000), 1001)] == [1000]
    assert [len(p) for p in split_evenly(range(10), 4)] == [3, 4, 3]
    assert [i for piece in split_evenly(range(2500), 1001) for i in piece] == list(range(2500))
    assert _index_list([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"


@pytest.mark.parametrize(
    ("sizes", "at_once", "expected"),
    [([5, 5], None, [None, None]), ([90, 10], 10, [8, 2]), ([1, 1, 1], 3, [1, 1, 1]), ([4, 4], 1, [1, 1])],
)
def test_what_runs_at_once_is_dealt_out_over_the_arrays(sizes, at_once, expected):
    assert array_throttles(sizes, at_once) == expected


def test_slurms_words_and_ids_are_read():
    assert error_text("sbatch: error: invalid partition specified: x\nsbatch: error: Batch job failed\n") == (
        "invalid partition specified: x; Batch job failed"
    )
    assert expand("12_[1-3,7%2]") == ["12_1", "12_2", "12_3", "12_7"]
    assert expand("12_[1-7:2]") == ["12_1", "12_3", "12_5", "12_7"]
    assert expand("12_[0,3-9:3,20%4]") == ["12_0", "12_3", "12_6", "12_9", "12_20"]
    assert expand("12_4") == ["12_4"]


NEW, BEGUN = RunState(), RunState(job="7_0", seconds_per_step=10.0)
ENDED = BEGUN.model_copy(update={"state": State.DONE})


@pytest.mark.parametrize(
    ("directory", "slurm", "written", "silence", "expected", "note"),
    [
        ("queued", ("PENDING", "Priority"), NEW, (0, 0), "queued", "Priority"),
        ("interrupted", ("PENDING", "BeginTime"), BEGUN, (0, 0), "requeued", "BeginTime"),
        ("queued", ("RUNNING", ""), NEW, (0, 0), "running", "starting"),
        ("running", ("RUNNING", ""), BEGUN, (5, 60), "running", ""),
        ("running", ("RUNNING", ""), BEGUN, (900, 900), "stalled", "no heartbeat for 15 min"),
        ("running", ("RUNNING", ""), BEGUN, (5, 7200), "stalled", "no step for 120 min, 10 s are usual"),
        ("interrupted", ("TIMEOUT", ""), BEGUN, (0, 0), "timed out", ""),
        ("interrupted", ("OUT_OF_MEMORY", ""), BEGUN, (0, 0), "out of memory", ""),
        ("interrupted", ("NODE_FAIL", ""), BEGUN, (0, 0), "node failure", ""),
        ("interrupted", ("CANCELLED", ""), BEGUN, (0, 0), "cancelled", ""),
        ("failed", ("FAILED", ""), BEGUN, (0, 0), "failed", "ValueError: no"),
        ("interrupted", ("FAILED", ""), BEGUN, (0, 0), "failed", "Slurm says FAILED"),
        ("queued", ("COMPLETED", ""), NEW, (0, 0), "failed", "its job ended without an error and without a result"),
        ("done", ("COMPLETED", ""), BEGUN, (0, 0), "done", ""),
        ("done", ("NODE_FAIL", ""), BEGUN, (0, 0), "done", ""),
        ("refused", ("COMPLETED", ""), BEGUN, (0, 0), "refused", ""),
        ("queued", ("COMPLETED", ""), ENDED, (0, 0), "interrupted", ""),  # its target was raised
        ("queued", None, ENDED, (0, 0), "interrupted", ""),
        ("queued", None, NEW, (0, 0), "cancelled", "its job left the queue before it began"),
        ("interrupted", None, BEGUN, (0, 0), "interrupted", "its process is gone"),
    ],
)
def test_two_sources_make_one_state(directory, slurm, written, silence, expected, note):
    notes = {"failed": "ValueError: no", "interrupted": "its process is gone"}
    status = made_up_status("a cell", State(directory), job="7_0", note=notes.get(directory, ""))
    joined = combine(status, slurm and JobView("7_0", *slurm), written, silence)
    assert joined.state == expected
    assert joined.note == note


def test_a_checkpoint_longer_than_the_grace_is_told():
    written = RunState(job="7_0", save_seconds=90.0, grace_seconds=30.0)
    joined = combine(made_up_status("a cell", State.RUNNING, job="7_0"), JobView("7_0", "RUNNING"), written, (0, 0))
    assert joined.note == "a checkpoint takes 90 s, preemption leaves 30 s: it would go on from the last one"


def test_a_stop_request_knows_what_can_still_be_saved():
    stop = StopRequest()
    stop.grace_seconds = {12: 60.0}
    assert stop.leaves(10**6)
    stop._stop(12, None)
    assert stop and stop.number == 12
    assert stop.leaves(30) and not stop.leaves(45)


def test_launches_of_one_sweep_add_up(tmp_path):
    def entry(seed: int, steps: int = 1) -> Entry:
        return Entry(f"seed={seed}", "m", {"seed": str(seed)}, "a", "b", seed, f"s{seed}", steps, f"cells/{seed}", [])

    record("x", tmp_path, [], [entry(0), entry(1)], ["first"])
    sweep = record("x", tmp_path, [], [entry(1, steps=5), entry(2)], ["second"])
    assert [(c.seed, c.steps) for c in sweep.cells] == [(0, 1), (1, 5), (2, 1)]
    assert read_sweep(tmp_path, "x") == sweep
    with pytest.raises(UserError, match="there are: x"):
        read_sweep(tmp_path, "y")


def test_a_run_on_another_machine_lives_by_its_heartbeat(tmp_path):
    run = RunDirectory(tmp_path)
    run.write_state(state="running", host="node7")
    assert status_of(tmp_path, 1).state == "interrupted"
    (tmp_path / "heartbeat").touch()
    assert status_of(tmp_path, 1).state == "running"
    os.utime(tmp_path / "heartbeat", (time.time() - 600,) * 2)
    assert status_of(tmp_path, 1).state == "interrupted"


def a_done_run(root: Path, *overrides: str) -> tuple[RunDirectory, CellConfig]:
    plan = plan_sweep([*TINY, "name=x", f"output_dir={root}", *overrides])
    (task,) = plan.cells
    run = RunDirectory(task.directory)
    run.freeze(task.config, task.signature, task.identity, task.evaluations)
    entry = Entry("a cell", task.module, task.axes, "m", "r", 0, task.signature, 4, str(run.path.relative_to(root)), [])
    record("x", root, [], [entry], [])
    run.write_state(state="done", step=4, steps=4)
    for step in (2, 3, 4):
        (run.checkpoints / f"step_{step:06}").mkdir(parents=True)
        write_manifest(run.checkpoints / f"step_{step:06}", step, 1, [])
    (run.checkpoints / "step_000005").mkdir()  # damaged, and not counted
    (run.checkpoints / "partial_000006").mkdir()
    (run.checkpoints / "set_aside_000006").mkdir()
    return run, task.config


def test_gc_lists_what_nobody_needs_and_deletes_nothing_else(tmp_path):
    run, _ = a_done_run(tmp_path)
    orphan = tmp_path / "cells" / "orphan"
    (orphan / "attempts").mkdir(parents=True)
    new_submission(tmp_path).write()  # of a launch that is at it
    old = new_submission(tmp_path).write(job="7")
    assert {g.path: g.reason for g in garbage(tmp_path)} == {
        orphan: "belongs to no sweep",
        Path(old.folder): "submission of attempts that others followed",
        run.checkpoints / "partial_000006": "was not finished",
        run.checkpoints / "set_aside_000006": "training went back from it",
        run.checkpoints / "step_000002": "a later one serves",
    }
    remove(garbage(tmp_path))
    assert not orphan.exists()
    assert sorted(p.name for p in run.checkpoints.iterdir()) == ["step_000003", "step_000004", "step_000005"]
    assert garbage(tmp_path) == []


def test_a_finished_run_without_checkpoints_is_not_trained_again_unasked(tmp_path):
    run, _ = a_done_run(tmp_path, "checkpoint.resumable=false")
    more = [*TINY, "name=x", f"output_dir={tmp_path}", "checkpoint.resumable=false", "steps=9"]
    assert plan_sweep(more).obstacles == []
    remove(garbage(tmp_path))
    assert list(run.checkpoints.iterdir()) == []
    (obstacle,) = plan_sweep(more).obstacles
    assert "done to step 4" in obstacle and "leave steps=4" in obstacle and str(run.path) in obstacle
    write_json(run.path / "state.json", {})
    assert plan_sweep(more).obstacles == []


@pytest.mark.parametrize(("asked", "configured", "threads"), [("3", None, 3), ("3", 2, 2), ("", 2, 2)])
def test_threads_are_what_the_configuration_or_the_environment_says(tmp_path, monkeypatch, asked, configured, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    choice = [f"cluster.threads={configured}"] if configured else []
    tasks = plan_sweep([*TINY, *choice, f"output_dir={tmp_path}"]).tasks
    assert LocalQueue(tasks, tmp_path, tasks[0].config.cluster).threads == threads


def test_where_there_is_nothing_to_save_a_stop_is_at_once():
    stop = StopRequest()
    with pytest.raises(ValueError), stop.ending_at_once():
        raise ValueError
    with pytest.raises(Interrupted), stop.ending_at_once():
        stop._stop(15, None)
    stop._stop(15, None)  # a second one, while the first is dealt with, raises nothing
    with pytest.raises(Interrupted), stop.ending_at_once():
        pytest.fail("begun although a stop was requested")
    late = StopRequest()
    late._stop(15, None)
    with pytest.raises(Interrupted), late.ending_at_once():
        pass


def test_what_another_process_that_stopped_takes_along_is_no_failure():
    stop = StopRequest()
    with pytest.raises(Interrupted), stop.ending_at_once():
        stop._event.set()  # between the other's leaving and this one's handler
        raise RuntimeError("connection closed by peer")
