"""What runs cost, added up over attempts, and how long the rest will take: the arithmetic, without any run."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from helpers.made_up_results import cells, printed, verdict
from helpers.made_up_statuses import made_up_status, status_of
from sweep.compare.metrics import Metric
from sweep.compare.more_tables import cost_grid, seed_grid
from sweep.run.costs import Cost, Spent, cost_of, total
from sweep.run.directory import RunDirectory
from sweep.run.outlook import outlook
from sweep.run.state import RunState, State
from sweep.run.status import Status


def test_attempts_add_up_and_the_latest_lasts_until_its_last_sign_of_life():
    spent = [
        Spent(began=100, until=160, processes=2, gpus=2, generated=10, prompts=4, trained=5),
        Spent(began=1000, processes=4, generated=1, repeated=6.0),
    ]
    cost = cost_of(spent, attempts=3, last_sign=1030)
    assert cost == Cost(
        attempts=3,
        unrecorded=1,
        seconds=90,
        gpu_seconds=120,
        process_seconds=120,
        repeated_seconds=6,
        generated_tokens=11,
        prompt_tokens=4,
        trained_tokens=5,
    )
    assert cost_of(spent, 2, last_sign=900).seconds == 60  # it wrote nothing yet, and a heart never beats backwards
    assert total([]) == Cost() and total([cost, cost]).seconds == 180


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (Cost(), "nothing yet"),
        (Cost(attempts=2, unrecorded=2), "unknown: an older version of the code ran it and recorded nothing of it"),
        (
            Cost(attempts=2, seconds=7200, gpu_seconds=57600, repeated_seconds=90, generated_tokens=12345678),
            "2:00:00 of runs, 16.0 GPU-hours, 12,345,678 tokens generated, 0 trained on; 1:30 of it in steps that were "
            "made again",
        ),
        (
            Cost(attempts=3, unrecorded=1, seconds=36, process_seconds=72, trained_tokens=7),
            "0:36 of runs, 0.02 process-hours without a GPU, 0 tokens generated, 7 trained on; 1 of 3 attempts are not "
            "among it, as older versions made them",
        ),
        (
            Cost(attempts=2, seconds=720, gpu_seconds=360, process_seconds=360),
            "12:00 of runs, 0.10 GPU-hours and 0.10 process-hours without a GPU, 0 tokens generated, 0 trained on",
        ),
    ],
)
def test_a_cost_in_words_guesses_nothing_and_takes_no_processor_for_a_gpu(cost, words):
    assert cost.words() == words


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    (tmp_path / "cells" / "c-1").mkdir(parents=True)
    return RunDirectory(tmp_path / "cells" / "c-1")


def test_amounts_are_added_to_the_latest_attempt(run):
    run.write_state(attempt=2, spent=[Spent(began=1, until=2, processes=1), Spent(began=5, processes=1, trained=1)])
    run.write_state(add={"trained": 3, "repeated": 0.5}, step=1)
    run.write_state(add={"generated": 7})
    first, latest = run.read_state().spent
    assert (first.trained, latest.trained, latest.generated, latest.repeated) == (0, 4, 7, 0.5)
    with pytest.raises(TypeError, match="nothing that an attempt spends: wishes"):
        run.write_state(add={"wishes": 3})


def test_the_time_of_a_killed_attempt_counts_until_its_heart_stopped(run):
    run.write_state(state=State.RUNNING, attempt=1, host="node7", spent=[Spent(began=1000, processes=1)])
    written = run.read_state()
    silent = written.model_copy(update={"updated": 1010.0})
    assert silent.cost(None).seconds == 10 and silent.cost(1060.0).seconds == 60
    assert silent.with_attempt_closed(1060.0)[-1].until == 1060
    closed = silent.model_copy(update={"spent": silent.with_attempt_closed(1060.0)})
    assert closed.with_attempt_closed(5000.0) == closed.spent  # once closed it grows no more
    assert RunState().with_attempt_closed(None) == []

    (run.path / "heartbeat").touch()
    os.utime(run.path / "heartbeat", (written.updated + 100, written.updated + 100))
    assert status_of(run.path, 4).cost.seconds == pytest.approx(written.updated + 100 - 1000)
    with run.exclusive() as before:
        assert before == pytest.approx(written.updated + 100)


@pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.INTERRUPTED, State.REFUSED])
def test_the_files_time_of_a_copied_heartbeat_adds_nothing_to_an_attempt_that_said_how_it_ended(run, state):
    run.write_state(state=state, attempt=1, spent=[Spent(began=1000, processes=1)])
    ended = run.read_state().updated
    (run.path / "heartbeat").touch()
    os.utime(run.path / "heartbeat", (ended + 86400, ended + 86400))
    assert status_of(run.path, 4).cost.seconds == ended - 1000
    assert run.read_state().with_attempt_closed(ended + 86400)[-1].until == ended


TRAIN, BASELINE, LABEL = "sweep.stages.train", "sweep.stages.baseline", "sweep.stages.label"


def at(state: State, step: int = 0, seconds: float = 0.0, left: float | None = None, **cost) -> Status:
    known = Cost(attempts=1, seconds=seconds, **cost) if seconds else Cost()
    return made_up_status("x", state, step, 10, seconds_left=left, cost=known, module=TRAIN)


DONE = at(State.DONE, 10, 110.0, repeated_seconds=10.0)  # 10 s a step without what was made again


@pytest.mark.parametrize(
    ("work", "at_once", "words"),
    [
        ([], None, ""),
        ([("a", DONE), ("a", at(State.FAILED, 3, 30.0))], None, ""),
        ([("a", at(State.QUEUED))], None, "time left: unknown until one of each was measured: a training of a"),
        (
            [("a", DONE), ("a", at(State.QUEUED)), ("b", at(State.QUEUED)), ("c", at(State.QUEUED))],
            2,
            "time left: unknown until one of each was measured: a training of b, a training of c",
        ),
        ([("a", DONE), ("a", at(State.QUEUED))], None, "time left: about 1:40 of runs; none is at work now"),
        ([("a", DONE), ("a", at(State.QUEUED))], 8, "time left: about 1:40 at the pace so far"),
        (
            [("a", DONE), *[("a", at(State.QUEUED))] * 3, ("a", at(State.INTERRUPTED, 5, 50.0))],
            2,
            "time left: about 2:55 at the pace so far, 2 at a time",
        ),
        (
            [("a", at(State.RUNNING, 5, 50.0, left=60.0)), ("a", at(State.RUNNING, 5, 50.0, left=20.0))],
            None,
            "time left: about 1:00 at the pace so far, 2 at a time",
        ),
        ([("a", at(State.DONE, 10, 50.0, unrecorded=1)), ("a", at(State.QUEUED))], 1, "unknown"),
    ],
)
def test_the_time_left_follows_from_what_was_measured(work, at_once, words):
    statuses = [replace(status, entry=replace(status.entry, model=model)) for model, status in work]
    said = outlook(statuses, at_once).words()
    assert said == words or (words == "unknown" and words in said)


def test_a_stage_is_guessed_from_stages_of_its_kind_alone():
    done = made_up_status("x", State.DONE, module=BASELINE, cost=Cost(attempts=1, seconds=30.0))
    assert outlook([done, made_up_status("x", State.QUEUED, module=BASELINE)], 1).seconds == 30
    found = outlook([done, made_up_status("x", State.QUEUED, module=LABEL)], 1)
    assert found.seconds is None and found.unmeasured == ("the labels of a",)


def test_a_row_shows_the_mean_cost_of_what_recorded_all_of_it():
    known = Cost(attempts=1, seconds=60.0, gpu_seconds=3600.0, generated_tokens=1000, trained_tokens=500)
    first, second, third = cells("ground_truth", 0.6, cost=known)
    twice = total([known, known])
    partly = Cost(attempts=2, unrecorded=1, seconds=1.0)
    made = [first, replace(second, cost=twice), replace(third, cost=partly)]
    grid = cost_grid(verdict(made, cells("random", 0.5)))
    assert grid.columns[-5:] == ["n", "time", "GPU-hours", "generated", "trained on"]
    assert [row[-5:] for row in grid.rows] == [["2", "1:30", "1.5", "1,500", "750"], ["0", "unknown", "", "", ""]]


def test_a_comparison_without_costs_says_nothing_of_them():
    assert "cost of all runs" not in printed(verdict(cells("ground_truth", 0.6), cells("random", 0.5)))


def test_seeds_are_shown_one_by_one_with_the_worst_first():
    rows = cells("ground_truth", 0.6), cells("random", 0.5, seeds=(0, 1), final=None)
    grid = seed_grid(verdict(*rows))
    gains = {str(cell.seed): cell.difference for cell in rows[0]}
    assert [line[2] for line in grid.rows[:3]] == sorted(gains, key=gains.get) and grid.breaks == {2}
    assert [line[2:] for line in grid.rows[3:]] == [["0", "50.0", "", ""], ["1", "50.0", "", ""]]
    entropy = seed_grid(verdict(*rows, metric=Metric("train/entropy")))
    assert entropy.columns == ["model", "reward", "seed", "final"]
    assert [line[2] for line in entropy.rows[:3]] == sorted(gains, key=gains.get)
