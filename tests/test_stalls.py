"""An attempt that hangs: it is noticed, all stacks are in the log, and it is started again, but not for ever."""

from __future__ import annotations

import platform
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from sweep.config.cell import ChecksConfig
from sweep.job import stalls, watchdog
from sweep.job.phases import Phases
from sweep.job.stalls import give_up, since_progress
from sweep.job.watchdog import Hang, Watchdog, watching
from sweep.run.directory import RunDirectory
from sweep.run.ranks import STALLED_EXIT, Beat, Ranks
from sweep.run.state import Stall, State

SHORT = ChecksConfig(logprob_difference=0.1, stall_minutes=0.01, stall_factor=1)
BEAT = Beat(0, platform.node(), 100, 1.0, "update", 0.0, changes=3, beats=1, patience=600.0, dumped=True)
FROZEN = Beat(1, platform.node(), 101, 2.0, "update", 0.0, changes=3, beats=1, patience=0.6)


@pytest.mark.parametrize(
    ("reached", "counted"),
    [
        ([5], 1),
        ([5, 5, 5], 3),
        ([5, 3, 5], 3),  # a resumed run begins before where it hung
        ([5, 5, 6], 1),
        ([5, 6, 6], 2),
        ([0, 0], 2),
    ],
)
def test_only_attempts_without_progress_are_counted(reached, counted):
    found: list[Stall] = []
    for attempt, step in enumerate(reached, 1):
        found = since_progress(found, Stall(attempt=attempt, reached=step, hosts=["n"], reason=""))
    assert len(found) == counted
    assert found[-1].attempt == len(reached)


@pytest.fixture
def ended(monkeypatch):
    """What would have been killed, and how this process would have ended."""
    seen = SimpleNamespace(killed=[], code=None)
    monkeypatch.setattr(stalls, "send", lambda number, pid, started: seen.killed.append((number, pid, started)))
    monkeypatch.setattr(stalls.os, "_exit", lambda code: setattr(seen, "code", code))
    return seen


class Job:
    """A Slurm job that counts its requeues."""

    def __init__(self, error: str = "") -> None:
        self.requeued, self.error = 0, error

    def requeue(self) -> None:
        if self.error:
            raise RuntimeError(self.error)
        self.requeued += 1


def test_the_third_attempt_without_progress_is_the_last(tmp_path, ended):
    run, job = RunDirectory(tmp_path), Job()
    for attempt, node in enumerate(("n1", "n2", "n1"), 1):
        run.write_state(state=State.RUNNING, attempt=attempt, step=17)
        hang = Hang("no progress: rank 1 does not answer", [replace(BEAT, host=node), replace(FROZEN, host="n3")])
        give_up(run, job, hang, wanted=True)
        state = run.read_state()
        assert state.starts_again == (attempt < 3)
    assert job.requeued == 2
    assert state.state == State.FAILED and state.error == state.note
    assert (
        "3 attempts came no further than 17 (attempt 1 on n1, n3; attempt 2 on n2, n3; attempt 3 on n1, n3)"
        in state.note
    )
    assert "checks.stall_minutes" in state.note
    assert state.stalls == []  # who launches it again all the same gets three attempts
    assert ended.code == STALLED_EXIT


@pytest.mark.parametrize(
    ("job", "wanted", "note"),
    [
        (Job(), False, "it hangs"),  # somebody cancelled it meanwhile
        (Job("no scontrol here"), True, "it hangs; no scontrol here"),
    ],
)
def test_a_job_that_is_not_put_back_says_why(tmp_path, ended, job, wanted, note):
    run = RunDirectory(tmp_path)
    run.write_state(state=State.RUNNING, attempt=1)
    give_up(run, job, Hang("it hangs", [BEAT]), wanted)
    assert run.read_state().note == note and job.requeued == 0


def test_the_processes_of_this_machine_are_killed_the_mute_ones_first(tmp_path, ended):
    run = RunDirectory(tmp_path)
    run.write_state(state=State.RUNNING, attempt=1)
    left = replace(BEAT, rank=2, pid=102, ended=True)
    give_up(run, None, Hang("it hangs", [BEAT, FROZEN, left, replace(FROZEN, rank=3, host="other")]), wanted=True)
    assert ended.killed == [(9, 101, 2.0), (9, 100, 1.0)]


@pytest.mark.parametrize("says", [True, False], ids=["stands still", "has never begun"])
def test_a_hang_is_noticed_and_every_stack_is_logged(tmp_path, monkeypatch, says):
    """Rank 0 of two waits in its second update for rank 1, which said where it was once, or never."""
    ranks, phases, found, noticed = Ranks(tmp_path / "ranks"), Phases(), [], threading.Event()

    def end(hang: Hang) -> None:
        found.append(hang)
        noticed.set()

    monkeypatch.setattr(watchdog, "ANSWER_SECONDS", 0.2)
    with phases.at("update"):
        pass
    ranks.open()
    if says:
        ranks.write(FROZEN)
    with watching(Watchdog(ranks, 0, 2, phases, SHORT, tmp_path / "log.txt", end)), phases.at("update"):
        assert noticed.wait(60)
    (hang,) = found
    assert (
        hang.reason.startswith("no progress: ") and ("rank 1 in update on" if says else "rank 1 never") in hang.reason
    )
    log = (tmp_path / "log.txt").read_text()
    assert log.startswith(hang.reason)
    assert "stacks of rank 0:" in log and "test_a_hang_is_noticed_and_every_stack_is_logged" in log
    assert "rank 1 does not answer, so there are no stacks of it" in log
    assert ranks.read(2)[0].ended and not ranks.give_verdict()


def test_a_hang_is_dealt_with_where_the_log_cannot_be_written(tmp_path, monkeypatch, capfd):
    ranks, found, noticed = Ranks(tmp_path / "ranks"), [], threading.Event()
    monkeypatch.setattr(watchdog, "ANSWER_SECONDS", 0.2)
    phases, no_file = Phases(), tmp_path
    with phases.at("update"):
        pass

    def end(hang: Hang) -> None:
        found.append(hang)
        noticed.set()

    with watching(Watchdog(ranks, 0, 1, phases, SHORT, no_file, end)), phases.at("update"):
        assert noticed.wait(60)
    assert found[0].reason.startswith("no progress: rank 0 in update on ")
    assert "the stacks cannot be written: " in capfd.readouterr().err


def test_phases_remember_how_long_they_took_and_return_to_the_one_around():
    phases = Phases()
    with phases.at("step"):
        around = phases.place
        with phases.at("rollout"):
            assert (phases.place.phase, phases.place.past) == ("rollout", ())
        assert (phases.place.phase, phases.place.since) == ("step", around.since)
        assert phases.place.changes == around.changes + 2
        with pytest.raises(ValueError), phases.at("rollout"):
            assert len(phases.place.past) == 1
            raise ValueError
        with phases.at("rollout"):
            assert len(phases.place.past) == 1  # a phase that broke off tells nothing of how long it takes
    assert phases.place.phase == "starting"
