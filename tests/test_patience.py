"""When a process counts as hanging, and what becomes of its run: counts and seconds, without a process."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweep.config.cell import ChecksConfig
from sweep.job.patience import AwakeClock, Observer, answering, beat_seconds, complaint, patience
from sweep.run.ranks import Beat

CHECKS = ChecksConfig(logprob_difference=0.1)  # 10 minutes, 20 times the usual, an hour
BEAT = Beat(0, "n1", 100, 1.0, "update", 0.0, changes=3, beats=1, patience=600.0)


@pytest.mark.parametrize(
    ("past", "seconds"),
    [
        ((), 3600),  # nothing is usual yet
        ((2.0,), 600),
        ((29.0, 30.0), 600),
        ((31.0,), 620),  # 20 × 31 s
        ((400.0, 60.0, 60.0), 8000),  # the longest counts
    ],
)
def test_a_phase_may_take_ten_minutes_or_twenty_times_its_usual(past, seconds):
    assert patience(past, CHECKS) == seconds


@pytest.mark.parametrize(("minutes", "seconds"), [(10, 15), (60, 15), (2, 3), (0.01, 0.2)])
def test_a_process_says_forty_times_where_it_is_before_it_is_given_up(minutes, seconds):
    assert beat_seconds(CHECKS.model_copy(update={"stall_minutes": minutes})) == pytest.approx(seconds)


def test_who_stands_still_and_who_is_silent():
    observer = Observer(3)
    first, second = BEAT, replace(BEAT, rank=1, host="n2", phase="rollout")
    observer.look({0: first, 1: second}, 0.0)
    # Rank 0 goes on from phase to phase, rank 1 speaks from where it is, rank 2 never does.
    standings = observer.look({0: replace(first, changes=9, beats=5), 1: replace(second, beats=5)}, 601.0)
    assert [s.overdue for s in standings] == [False, True, False]
    assert answering(standings, 15.0) == [0, 1]
    assert complaint(standings, [0, 1]) == ("no progress: rank 2 never began; rank 1 in rollout on n2 for 10 min")
    # A minute later rank 1 has said nothing more for long enough.
    last = observer.look({0: replace(first, changes=12, beats=50), 1: replace(second, beats=5)}, 752.0)
    assert answering(last, 15.0) == [0]
    assert complaint(last, [0]).startswith(
        "no progress: rank 1 has not answered for 3 min, last in rollout on n2; rank 2 never"
    )


def test_what_has_ended_is_not_missed():
    observer = Observer(2)
    observer.look({0: BEAT, 1: replace(BEAT, rank=1, ended=True)}, 0.0)
    standings = observer.look({0: replace(BEAT, changes=8, beats=9), 1: replace(BEAT, rank=1, ended=True)}, 10_000.0)
    assert not any(s.overdue for s in standings)
    assert answering(standings, 15.0) == [0]


def test_who_waits_for_a_process_that_has_left_waits_in_vain():
    joining, left = replace(BEAT, phase="joining"), replace(BEAT, rank=1, ended=True)
    standings = Observer(2).look({0: joining, 1: left}, 0.0)
    assert [s.overdue for s in standings] == [True, False]
    assert complaint(standings, [0]) == (
        f"no progress: rank 0 in joining on {BEAT.host} without rank 1, which had left before"
    )
    assert not any(s.overdue for s in Observer(2).look({0: joining, 1: replace(left, ended=False)}, 0.0))


def test_time_in_which_nothing_could_be_seen_does_not_count():
    clock = AwakeClock(15.0, now=100.0)
    assert clock.tick(115.0) == 15.0
    assert clock.tick(3715.0) == 45.0  # the job was suspended for an hour
    assert clock.tick(3730.0) == 60.0
