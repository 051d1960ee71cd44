"""Three kills of a real sweep, one after the other: it comes out as if nothing had happened. More: tests/faults.py."""

from __future__ import annotations

import re
import signal
import sys

import pytest

from faults import main
from helpers.disturbed import DisturbedSweep, changed, outcome
from helpers.documented import bash_words, commands
from helpers.fault_moments import EVENTS, TIMES, Moment, moments

KILLS = [  # none so late that the sweep could be done before the signal, however busy the machine
    ("a cell is submitted", 1, "launcher"),
    ("a checkpoint takes its name", 1, "rank"),
    ("a checkpoint's optimiser is written", 1, "rank"),
]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="waits for events of files, which Linux tells")
def test_a_sweep_that_is_killed_three_times_comes_out_as_if_it_were_not(tmp_path, cache_dir):
    undisturbed = DisturbedSweep(tmp_path / "undisturbed", cache_dir, "one cell", on_slurm=False)
    undisturbed.until_done()
    (baseline,) = undisturbed.output.glob("stages/*")
    kills = [Moment("one cell", event, count, 0, 0, victim, signal.SIGKILL) for event, count, victim in KILLS]
    disturbed = DisturbedSweep(tmp_path / "disturbed", cache_dir, "one cell", on_slurm=False, baseline=baseline)
    try:
        hits = disturbed.until_done(*kills)
        victims = [re.match("SIGKILL to the ([a-z]+)", hit).group(1) for hit in hits]
        assert victims == [victim for *_, victim in KILLS]
        assert changed(outcome(undisturbed.output), outcome(disturbed.output)) == []
        assert disturbed.left_running() == []
    finally:
        disturbed.kill_all()


def test_moments_are_the_same_for_a_seed_and_every_event_comes_before_one_comes_twice():
    once = moments(len(EVENTS) + TIMES, 3, {"one cell": 1})
    assert once == moments(len(EVENTS) + TIMES, 3, {"one cell": 1}) != moments(len(EVENTS) + TIMES, 4, {"one cell": 1})
    assert {m.event for m in once} == {*EVENTS, None}


@pytest.mark.parametrize("command", commands("python -m tests.faults"))
def test_documented_commands_are_understood(command, tmp_path, capsys):
    assert main([*bash_words(command, tmp_path)[2:], "--moments", "0"]) == 0
    assert "0 moments, 0 came out differently" in capsys.readouterr().out
