"""What becomes of runs that were claimed: never submitted, submitted by others, failing again and again. No Slurm."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from submitit.core.utils import FailedJobError

from helpers.constants import TINY
from helpers.made_up_statuses import made_up_entry, made_up_status
from sweep.dispatch import guard, slurm
from sweep.dispatch.disk import garbage
from sweep.dispatch.local import LocalQueue
from sweep.dispatch.remote import watch
from sweep.dispatch.shapes import ArrayExecutor
from sweep.dispatch.slurm import JobView, SlurmError
from sweep.dispatch.states import SlurmView, look, statuses
from sweep.dispatch.submit import submit
from sweep.errors import UserError
from sweep.plan.plan import plan_sweep
from sweep.run.claims import NOT_MADE, Submission, claim, latest_claim, new_submission
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.run.ledger import Sweep, read_sweep, record
from sweep.run.state import State
from sweep.run.status import blocked_by


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
    joined = SlurmView(tmp_path).status(made_up_entry("a cell", f"cells/{path.name}", 4))
    assert (joined.status.state, joined.status.note) == (state, note)
    assert joined.status.ended is (state != State.QUEUED)
    assert joined.owner == submission.get("user", "")
    RunDirectory(path).write_state(state=State.DONE, steps=4)
    assert SlurmView(tmp_path).status(made_up_entry("a cell", f"cells/{path.name}", 4)).status.state == State.DONE


def test_a_job_whose_launch_died_before_it_knew_is_found_by_its_comment(tmp_path, queue):
    path = claimed(tmp_path)
    identifier = latest_claim(path / "attempts").submission
    queue["me"]["9_0"] = JobView("9_0", "PENDING", "Priority", f"{identifier} a comment of the user's")
    status = SlurmView(tmp_path).status(made_up_entry("a cell", f"cells/{path.name}", 4)).status
    assert (status.state, status.job) == (State.QUEUED, "9_0")


def test_a_job_that_slurm_hides_is_left_to_its_owner(tmp_path, queue, monkeypatch):
    monkeypatch.setattr(slurm, "shows_jobs_of", lambda name: name == "me")
    path = claimed(tmp_path, job="8", user="alice")
    joined = SlurmView(tmp_path).status(made_up_entry("a cell", f"cells/{path.name}", 4))
    assert joined.status.state == State.QUEUED and "a job of alice's" in joined.status.note
    RunDirectory(path).write_state(state=State.FAILED, job="8_0", note="ValueError: x")
    assert SlurmView(tmp_path).status(made_up_entry("a cell", f"cells/{path.name}", 4)).status.state == State.FAILED


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
    assert watch(sweep, Screen()) == 1
    said = [line for line in shown if "answer" in line]
    assert len(said) == 2 and "squeue: away" in said[0] and said[1] == "Slurm answers again"


def test_a_stage_that_was_not_submitted_blocks_nothing():
    stage = made_up_status("stage", State.NOT_SUBMITTED)
    cell = made_up_status("cell", State.NOT_SUBMITTED)
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


@pytest.fixture
def sbatch(monkeypatch, queue):
    """An sbatch that takes `sbatch.room` jobs in all; `sbatch.refuses(indices)` may raise what it says instead."""

    class Sbatch:
        def __init__(self) -> None:
            self.room, self.asked = 99, []

        def refuses(self, indices) -> None:
            if len(queue["me"]) + len(indices) > self.room:
                raise FailedJobError("sbatch: error: AssocMaxSubmitJobLimit")

    fake = Sbatch()

    def submit_runs(made: ArrayExecutor) -> str:
        shown = next(line for line in made.script().splitlines() if "--array=" in line)
        indices = [job.partition("_")[2] for job in slurm.expand(f"1_[{shown.partition('=')[2].strip(chr(39))}]")]
        fake.asked.append(len(indices))
        fake.refuses(indices)
        number = str(len(fake.asked))
        queue["me"] |= {f"{number}_{i}": JobView(f"{number}_{i}", "PENDING", "Priority") for i in indices}
        return number

    monkeypatch.setattr(ArrayExecutor, "submit_runs", submit_runs)
    monkeypatch.setattr(slurm, "check_request", lambda script: None)  # a site whose test tells nothing of limits
    monkeypatch.setattr(slurm, "largest_array", lambda: 1000)
    return fake


def many(root: Path) -> list:
    return plan_sweep([*TINY, "cluster=slurm", "reward=random", "seed=range(0,9)", f"output_dir={root}"]).tasks


def test_where_a_limit_shows_only_when_it_is_met_fewer_are_tried(tmp_path, sbatch):
    sbatch.room = 6
    tasks = many(tmp_path)
    done = submit(tasks, tmp_path, tmp_path, "s")
    assert sbatch.asked == [1, 9, 4] and len(done.jobs) == 5 and len(done.left) == 5 and not done.complete
    assert set(done.left.values()) == {"sbatch: AssocMaxSubmitJobLimit"}
    view = SlurmView(tmp_path)
    states = [view.status(task.entry).status for task in tasks]
    assert [s.state for s in states] == [State.QUEUED] * 5 + [State.NOT_SUBMITTED] * 5
    sbatch.room = 99
    again = submit(tasks, tmp_path, tmp_path, "s")
    assert len(again.adopted) == 5 and len(again.jobs) == 5 and again.complete


def test_nothing_is_submitted_that_waits_for_what_was_not(tmp_path, sbatch):
    sbatch.room = 0
    done = submit(many(tmp_path), tmp_path, tmp_path, "s")
    assert sbatch.asked == [1] and len(done.left) == 10 and done.jobs == {}


def test_whether_a_job_was_submitted_while_slurm_went_away_is_found_out_later(tmp_path, sbatch, queue, monkeypatch):
    def dies(indices) -> None:
        """The job is in the queue, but neither sbatch nor squeue can tell."""
        if len(indices) == 9:
            submission = latest_claim(tasks[-1].directory / "attempts").submission
            queue["me"] |= {f"77_{i}": JobView(f"77_{i}", "PENDING", "Priority", submission) for i in indices}
            monkeypatch.setattr(slurm, "queue", away)
            raise FailedJobError("sbatch: error: Socket timed out on send/recv operation")

    def away(name=None):
        raise SlurmError("squeue: Unable to contact slurm controller")

    tasks, answering = many(tmp_path), slurm.queue
    sbatch.refuses = dies
    with pytest.raises(UserError, match="Unable to contact slurm controller; 1 runs were submitted before it"):
        submit(tasks, tmp_path, tmp_path, "s")
    monkeypatch.setattr(slurm, "queue", answering)
    monkeypatch.setattr(Submission, "owner_is_alive", False)
    again = submit(tasks, tmp_path, tmp_path, "s")
    assert len(again.adopted) == 10 and again.jobs == {}


def test_a_local_job_inherits_nothing_of_another_job_either(tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr("sweep.dispatch.local.LocalExecutor.submit", lambda self, job: seen.update(os.environ))
    for name in ("RANK", "MASTER_ADDR", "SLURM_JOB_ID", "OWN_VARIABLE"):
        monkeypatch.setenv(name, "7")
    tasks = plan_sweep([*TINY, f"output_dir={tmp_path}"]).tasks
    LocalQueue(tasks, tmp_path, tasks[0].config.cluster)._submit(tasks[0], [])
    assert seen["OWN_VARIABLE"] == "7" and not {"RANK", "MASTER_ADDR", "SLURM_JOB_ID"} & seen.keys()


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
