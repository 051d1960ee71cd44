"""The parts of a training step: the order of problems, the row of metrics, and what is trained on."""

from __future__ import annotations

import pytest

from helpers.presets import algorithm
from rewards.behaviours import Found
from rewards.grading import Grade, Outcome
from sweep.job.phases import Phases
from sweep.rollout.sample import Finish, Sampled
from sweep.stages.grading import Graded
from sweep.stages.metrics import one_row
from sweep.stages.order import problem_in_slot
from sweep.stages.updating import takes_part


def test_each_epoch_has_every_problem_once_in_an_order_of_its_own():
    steps = [[problem_in_slot(3, step, slot, 4, 10) for slot in range(4)] for step in range(1, 11)]
    stream = [problem for step in steps for problem in step]
    epochs = [stream[k : k + 10] for k in range(0, 40, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert [problem_in_slot(3, 7, slot, 4, 10) for slot in range(4)] == steps[6]  # asked again
    assert [problem_in_slot(4, 1, slot, 4, 10) for slot in range(4)] != steps[0]


def test_resampling_draws_problems_and_leaves_the_stream_as_it_is():
    drawn = {problem_in_slot(3, step, slot, 4, 10) for step in range(1, 20) for slot in range(4, 12)}
    assert drawn == set(range(10))


def test_a_row_refuses_a_number_that_two_parts_name_alike():
    assert list(one_row({"step": 1}, {}, {"loss": 0.5}, {"entropy": None})) == ["step", "loss", "entropy"]
    with pytest.raises(ValueError, match="train/reference_kl from two sources"):
        one_row({"train/reference_kl": 0.1}, {"train/loss": 0.5}, {"train/reference_kl": 0.2})


def test_what_phases_measured_is_taken_once():
    phases = Phases()
    for _ in range(2):
        with phases("step"), phases("update"):
            pass
        with phases.at("export"):
            pass
    first, second = phases.take(), phases.take()
    assert set(first.seconds) == {"step", "update"} and first.seconds["step"] >= first.seconds["update"] > 0
    assert second.seconds == {} and set(second.metrics()) == {"memory_gb/held"}
    assert {"timing_s/step", "timing_s/update", "memory_gb/held"} <= set(first.metrics())


@pytest.mark.parametrize(
    ("changes", "equal", "finish", "expected"),
    [
        ({}, True, Finish.LENGTH, True),
        ({"filter_zero_variance": True}, True, Finish.EOS, False),
        ({"filter_zero_variance": True}, False, Finish.LENGTH, True),
        ({"mask_truncated": True}, True, Finish.LENGTH, False),
        ({"mask_truncated": True}, True, Finish.STOP, True),
    ],
)
def test_which_responses_are_trained_on(changes, equal, finish, expected):
    graded = Graded(Sampled([1], [2], [0.0], finish), 1.0, Grade(Outcome.RIGHT), None, Found(()))
    assert takes_part(graded, equal, algorithm(**changes)) is expected
