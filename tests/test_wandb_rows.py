"""What is said of a run on W&B beside its rows: axes, contrasts, tables of answers, and what became of a `sync`."""

from __future__ import annotations

import pytest

from helpers.made_up_results import cells, verdict
from sweep.compare.by_cell import contrasts_by_cell
from sweep.track.axes import axis_values
from sweep.track.outcome import Kind, Outcome, ranges, total
from sweep.track.samples import MOST_ROWS, MOST_TABLES, SampledAnswers, has_table


def test_a_cell_has_a_contrast_where_one_control_has_its_seed():
    truth, control = cells("ground_truth", 0.8, (0, 1, 2)), cells("random", 0.5, (0, 1))
    found = contrasts_by_cell(verdict(truth, control).findings.contrasts)
    assert found == {
        one.signature: (one.final - other.final, other.signature) for one, other in zip(truth, control, strict=False)
    }
    another = cells("random", 0.5, (0, 1), reward__probability=0.7)
    assert contrasts_by_cell(verdict(truth, control, another).findings.contrasts) == {}
    assert contrasts_by_cell(verdict(truth, cells("random", 0.5, (7,))).findings.contrasts) == {}


def test_what_a_server_answers_is_shown_and_not_obeyed():
    outcomes = [Outcome("a", Kind.FAILED, "\x1b[2J gone"), Outcome("b", Kind.FAILED, "\x1b[2J gone")]
    assert outcomes[0].line == r"a: failed: \x1b[2J gone"
    assert total("s", outcomes) == [r"2 failed: \x1b[2J gone", "sync s: 2 failed; 0 rows sent"]


@pytest.mark.parametrize(("steps", "words"), [([1], "1"), ([7, 1, 2, 3], "1-3, 7"), ([1, 2], "1-2"), ([], "")])
def test_steps_in_words(steps, words):
    assert ranges(steps) == words


@pytest.mark.parametrize(
    ("kept", "asked", "steps"),
    [([1, 2, 3], [2, 3], [[2], [3]]), ([1, 1, 4], [2, 4], [[1, 1], [4]]), ([], [2], [[]]), ([5], [2, 4], [[], []])],
)
def test_a_table_has_the_answers_of_the_last_step_that_any_were_kept_of(tmp_path, file, kept, asked, steps):
    path = file([{"step": step, "response": "a"} for step in kept], "samples.jsonl")
    answers = SampledAnswers(path)
    assert [[cells[0] for cells in answers.until(step)] for step in asked] == steps
    few = range(1, MOST_TABLES + 1)
    assert all(has_table(step, MOST_TABLES, 1) for step in few)  # few evaluations have one each
    tabled = [step for step in (*range(7, 300, 7), 300) if has_table(step, 300, 7)]
    assert len(tabled) == MOST_TABLES and tabled[-1] == 300 and tabled[0] < 100
    many = SampledAnswers(file([{"step": 1, "response": "a"}] * 100, "samples.jsonl"))
    assert len(many.until(1)) == MOST_ROWS


@pytest.mark.parametrize(
    ("key", "typed", "value"),
    [
        ("steps", "30", 30),
        ("algorithm.clip_low", "2e-1", 0.2),
        ("labels.shard", None, 0),
        ("tracking.entity", "null", None),
        ("tracking.tags", "[a]", "[]"),
        ("prompt", "qwen_boxed", "qwen_boxed"),
        ("prompt", None, "own"),
        ("reward.nothing", "7", "7"),
        ("reward.nothing", None, None),
    ],
)
def test_the_value_of_an_axis_has_its_type(key, typed, value, composed):
    found = axis_values(composed(), [(key, typed)])[key.replace(".", "_")]
    assert found == value and type(found) is type(value)
