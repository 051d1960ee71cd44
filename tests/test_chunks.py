"""The sizes of the chunks in which an evaluation samples, and the phases that the watchdog sees."""

from __future__ import annotations

import pytest

from sweep.evaluate.answering import CHUNK_SECONDS, GROWTH, LARGEST_CHUNK, chunk_end, next_size
from sweep.job.patience import patience
from sweep.plan.compose import compose_cells

PAIRS = [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2), ("c", 2)]


@pytest.mark.parametrize(("size", "end"), [(1, 2), (2, 2), (3, 5), (5, 5), (6, 6), (100, 6)])
def test_all_missing_answers_to_a_problem_are_in_one_chunk(size, end):
    assert chunk_end(PAIRS, size) == end


@pytest.mark.parametrize(
    ("answers", "seconds", "size"),
    [
        (256, CHUNK_SECONDS, 256),
        (256, CHUNK_SECONDS / 2, 512),
        (256, 4 * CHUNK_SECONDS, 64),
        (256, 1.0, GROWTH * 256),
        (256, 0.0, GROWTH * 256),
        (LARGEST_CHUNK, 1.0, LARGEST_CHUNK),
        (1, 1000 * CHUNK_SECONDS, 1),
    ],
)
def test_a_chunk_takes_ten_minutes_if_it_can(answers, seconds, size):
    assert next_size(answers, seconds) == size


def test_a_chunk_is_within_the_patience_that_the_one_before_gives():
    (cell,) = compose_cells([])
    for seconds in (1.0, 60.0, CHUNK_SECONDS, 10 * CHUNK_SECONDS):
        following = next_size(256, seconds) / 256 * seconds
        assert following < patience([seconds], cell.config.checks)
