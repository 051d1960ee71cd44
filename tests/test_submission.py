"""What becomes of runs that were claimed: never submitted, submitted by others, failing again and again. No Slurm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import TINY

from sweep.dispatch import guard, slurm
from sweep.dispatch.disk import garbage
from sweep.dispatch.remote import watch
from sweep.dispatch.slurm import JobView, SlurmError
from sweep.dispatch.states import SlurmView, look, statuses
from sweep.plan.plan import plan_sweep
from sweep.run.claims import NOT_MADE, claim, latest_claim, new_submission
from sweep.run.directory import RunDirectory
from sweep.run.ledger import Entry, Sweep, read_sweep, record
from sweep.run.state import State
from sweep.run.status import Status, blocked_by


@pytest.fixture
def queue(monkeypatch):
    """A queue for each user: put jobs into it. Accounting remembers nothing."""
    queues: dict[str, dict[str, JobView]] = {"me": {}, "alice": {}}
    monkeypatch.setattr(slurm, "user", lambda: "me")
    monkeypatch.setattr(slurm, "queue", lambda name="me": dict(queues[name]))
    monkeypatch.setattr(slurm, "history", lambda ids: {})
    monkeypatch.setattr(slurm, "shows_jobs_of", lambda name: True)
    return queues


def claimed(root: Path, name: str = "a", index: int = 0, **submission) -> Path:
    """A run of a sweep on Slurm whose latest claim is of a launch that is dead."""
    run = RunDirectory(root / "cells" / name)
    intent = replace(new_submission(root, "me"), process_started=0.0, runs=[f"cells/{name}"], modules=["m"])
    intent.write(**submission)
    assert claim(run.attempts, latest_claim(run.attempts), intent.id, index, "")
    return run.path


@pytest.mark.parametrize(
    ("submission", "state", "note"),
    [
        ({}, State.NOT_SUBMITTED, "its launch ended before it came to that"),
        ({"error": "AssocMaxSubmitJobLimit"}, State.NOT_SUBMITTED, "AssocMaxSubmitJobLimit"),
        # Of an array that was cut at a limit, this element was left; that one was submitted.
        ({"job": "7", "indices": [1, 2], "error": "full"}, State.NOT_SUBMITTED, "full"),
        ({"job": "7", "indices": [0, 1], "error": "full"}, State.CANCELLED, "its job left the queue before it began"),
        ({"job": "7"}, State.CANCELLED, "its job left the queue before it began"),
        ({"job": "8", "user": "alice"}, State.QUEUED, "Priority"),
    ],
)
def test_what_was_never_submitted_is_told_from_what_left_the_queue(tmp_path, queue, submission, state, note):
    path = claimed(tmp_path, **submission)
    queue["alice"]["8_0"] = JobView("8_0", "PENDING", "Priority")
    joined = SlurmView(tmp_path).status("a cell", path, 4)
    assert (joined.status.state, joined.status.note) == (state, note)
    assert joined.status.ended is (state != State.QUEUED)
    assert joined.owner == submission.get("user", "")
    RunDirectory(path).write_state(state=State.DONE, steps=4)
    assert SlurmView(tmp_path).status("a cell", path, 4).status.state == State.DONE


def test_a_job_whose_launch_died_before_it_knew_is_found_by_its_comment(tmp_path, queue):
    path = claimed(tmp_path)
    identifier = latest_claim(path / "attempts").submission
    queue["me"]["9_0"] = JobView("9_0", "PENDING", "Priority", f"{identifier} a comment of the user's")
    status = SlurmView(tmp_path).status("a cell", path, 4).status
    assert (status.state, status.job) == (State.QUEUED, "9_0")


def test_a_job_that_slurm_hides_is_left_to_its_owner(tmp_path, queue, monkeypatch):
    monkeypatch.setattr(slurm, "shows_jobs_of", lambda name: name == "me")
    path = claimed(tmp_path, job="8", user="alice")
    joined = SlurmView(tmp_path).status("a cell", path, 4)
    assert joined.status.state == State.QUEUED and "a job of alice's" in joined.status.note
    RunDirectory(path).write_state(state=State.FAILED, job="8_0", note="ValueError: x")
    assert SlurmView(tmp_path).status("a cell", path, 4).status.state == State.FAILED


def entry(name: str, *stages: str) -> Entry:
    return Entry(name, "m", {}, "a", "b", 0, f"sign-{name}", 0 if not stages else 4, f"cells/{name}", list(stages))


@pytest.fixture
def sweep(tmp_path) -> Sweep:
    """A stage that is claimed, and two cells; the launch died before it claimed the second."""
    claimed(tmp_path, "stage", job="7")
    claimed(tmp_path, "first")
    return record("s", tmp_path, [entry("stage")], [entry(n, "cells/stage") for n in ("first", "second")], [])


def test_a_cell_that_no_launch_came_to_is_not_queued(tmp_path, queue, sweep):
    queue["me"]["7_0"] = JobView("7_0", "RUNNING")
    (stage,), cells = statuses(sweep)
    assert stage.state == State.RUNNING and [c.state for c in cells] == [State.NOT_SUBMITTED] * 2
    queue["me"]["7_0"] = JobView("7_0", "FAILED")
    (stage,), cells = statuses(sweep)
    assert stage.state == State.FAILED and [c.state for c in cells] == [State.BLOCKED] * 2


def test_where_slurm_does_not_answer_the_directories_are_shown(tmp_path, queue, sweep, monkeypatch):
    def away(name=None):
        raise SlurmError("squeue: Unable to contact slurm controller")

    monkeypatch.setattr(slurm, "queue", away)
    RunDirectory(tmp_path / "cells" / "first").write_state(state=State.DONE, steps=4)
    ((stage,), cells), complaint = look(sweep)
    assert [s.state for s in (stage, *cells)] == [State.QUEUED, State.DONE, State.QUEUED]
    assert "Unable to contact slurm controller" in complaint


def test_waiting_goes_on_while_slurm_is_away(queue, sweep, monkeypatch):
    answers = [queue["me"], SlurmError("squeue: away"), SlurmError("squeue: away"), queue["me"]]
    shown = []

    def next_answer(name=None):
        answer = answers.pop(0)
        if isinstance(answer, SlurmError):
            raise answer
        queue["me"]["7_0"] = JobView("7_0", "RUNNING" if answers else "FAILED")
        return dict(queue["me"])

    class Screen:
        is_terminal = False

        def print(self, text, **_) -> None:
            shown.append(text)

    monkeypatch.setattr(slurm, "queue", next_answer)
    monkeypatch.setattr("sweep.dispatch.remote.WATCH_SECONDS", 0)
    assert watch(sweep, Screen(), only_until_ended=True) == 1
    said = [line for line in shown if "answer" in line]
    assert len(said) == 2 and "squeue: away" in said[0] and said[1] == "Slurm answers again"


def test_a_stage_that_was_not_submitted_blocks_nothing():
    stage = Status("stage", State.NOT_SUBMITTED)
    cell = Status("cell", State.NOT_SUBMITTED)
    assert blocked_by([stage], cell) == cell
    assert blocked_by([replace(stage, state=State.FAILED)], cell).state == State.BLOCKED


def test_gc_leaves_what_a_launch_is_about_to_submit(tmp_path, queue):
    record("s", tmp_path, [], [], [])
    run = RunDirectory(tmp_path / "cells" / "new")
    intent = new_submission(tmp_path, "me").write(runs=["cells/new"], modules=["m"])
    assert claim(run.attempts, None, intent.id, 0, "")
    assert garbage(tmp_path) == []
    intent.write(error="refused")
    assert [g.path for g in garbage(tmp_path)] == [run.path, Path(intent.folder)]
    assert read_sweep(tmp_path, "s").cells == []


def history(path: Path, *attempts: tuple[str, str]) -> str:
    """Claims as they follow from attempts (request, end); returns how the last one ended."""
    before = ""
    for number, (request, end) in enumerate(attempts):
        last = latest_claim(RunDirectory(path).attempts)
        assert claim(RunDirectory(path).attempts, last, f"s{number}", 0, before, request)
        before = end
    return before


@pytest.mark.parametrize(
    ("attempts", "asked", "hopeless"),
    [
        ([("r", "X")] * 2, "r", False),
        ([("r", "X")] * 3, "r", True),
        ([("r", "X")] * 3, "changed", False),
        ([("r", "X")] * 3 + [("changed", "X")] * 2, "changed", False),
        ([("r", "X")] * 3 + [("changed", "X")] * 3, "changed", True),
        ([("r", "X")] * 3 + [("changed", "X")] * 2, "r", False),
        ([("r", "X"), ("r", "Y"), ("r", "X"), ("r", "X")], "r", False),
        # What was claimed and not submitted is no attempt.
        ([("r", "X"), ("r", NOT_MADE), ("r", "X")], "r", False),
        ([("r", "X"), ("r", NOT_MADE), ("r", "X"), ("r", "X")], "r", True),
        ([("r", "X")] * 3 + [("r", NOT_MADE)], "r", False),
        ([("r", "X")] * 3 + [("r", "")], "r", False),
    ],
)
def test_the_guard_counts_equal_ends_of_equal_requests(tmp_path, attempts, asked, hopeless):
    assert guard.is_hopeless(tmp_path, history(tmp_path, *attempts), asked) is hopeless


def test_a_request_is_another_where_a_job_could_end_otherwise(tmp_path):
    def request(*overrides: str, code: str = "c0de") -> str:
        (cell,) = plan_sweep([*TINY, "cluster=slurm", f"output_dir={tmp_path}", *overrides]).cells
        return guard.request(cell, Path("code") / code)

    same = request()
    assert request("name=other", "cluster.wait=true", "cluster.max_parallel=3", "steps=9") == same
    others = [["cluster.setup=[true]"], ["cluster.env={A:1}"], ["cluster.env={A:2}"], ["resources.memory_gb=3"]]
    others += [["deepspeed.micro_batch_tokens=99"], ["cluster.sbatch={nice:1}"], ["tracking.mode=offline"]]
    assert len({same, request(code="other"), *(request(*changed) for changed in others)}) == 2 + len(others)
