"""samples.jsonl: which groups it keeps, what a line says, and how long its texts may be."""

from __future__ import annotations

import pytest

from helpers.constants import TINY
from rewards.behaviours import Found
from rewards.grading import Grade, Outcome
from sweep.config.cell import CellConfig
from sweep.config.keys import REPLACED, known_keys, of_today
from sweep.data.problems import Problem
from sweep.errors import UserError
from sweep.plan.compose import compose_cells
from sweep.rollout.sample import Finish, Sampled
from sweep.stages.grading import Graded
from sweep.stages.groups import Group
from sweep.stages.samples import kept_places, sample_rows, shortened


def graded_group(slot: int, text: str = "x") -> Group[Graded]:
    sampled = [Sampled([1], [2], [0.0], Finish.EOS, f"{text} {slot}.{sample}") for sample in range(4)]
    responses = [Graded(response, 1.0, Grade(Outcome.RIGHT), None, Found(())) for response in sampled]
    return Group(slot, Problem(f"p{slot}", "1+1", ("2",)), responses)


def config_of(*overrides: str) -> CellConfig:
    (cell,) = compose_cells([*TINY, *overrides])
    return cell.config


def test_the_step_alone_chooses_the_groups_and_more_groups_add_to_fewer():
    fewer, more = ([kept_places(step, 8, groups, 1) for step in range(1, 200)] for groups in (1, 3))
    assert all(set(a) < set(b) and b == sorted(b) for a, b in zip(fewer, more, strict=True))
    assert {place for (place,) in fewer} == set(range(8))
    assert kept_places(3, 4, 9, 1) == [0, 1, 2, 3] and kept_places(3, 4, 0, 1) == []
    assert [step for step in range(1, 9) if kept_places(step, 4, 1, 3)] == [3, 6]


@pytest.mark.parametrize("change", ["reward=random", "seed=7", "algorithm=dapo", "model=olmo2_mini"])
def test_cells_keep_all_answers_of_the_same_places(change):
    one, other = config_of("tracking.sample_groups=2"), config_of("tracking.sample_groups=2", change)
    groups = [graded_group(slot) for slot in range(4)]
    for step in range(1, 9):
        rows = sample_rows(one, step, groups)
        assert rows == sample_rows(other, step, groups)
        assert [row["sample"] for row in rows] == [0, 1, 2, 3] * 2
        assert all(row["response"] == f"x {row['slot']}.{row['sample']}" for row in rows)


def test_a_group_that_another_replaced_is_kept_under_its_own_slot():
    config = config_of("tracking.sample_groups=4")
    places = [0, 9, 2, 3]  # the problem in place 1 was replaced in the second round
    rows = sample_rows(config, 1, [graded_group(slot) for slot in places])
    assert [row["slot"] for row in rows[::4]] == places and len(rows) == 16


@pytest.mark.parametrize(
    ("text", "characters", "expected"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", None, "abcdef"),
        ("abcdefg", 5, "ab […2 characters left out…] efg"),
        ("x" * 10_000, 2, "x […9998 characters left out…] x"),
    ],
)
def test_long_texts_lose_their_middle_and_say_so(text, characters, expected):
    assert shortened(text, characters) == expected


def test_a_line_is_bounded():
    config = config_of("tracking.sample_characters=20")
    for row in sample_rows(config, 1, [graded_group(slot, "y" * 500) for slot in range(4)]):
        assert len(row["response"]) < 60 and "left out" in row["response"]


@pytest.mark.parametrize(("kept", "groups"), [(0, 0), (1, 1), (4, 1), (64, 1)])
def test_a_configuration_of_an_earlier_version_is_read(kept, groups):
    frozen = config_of().model_dump(mode="json")
    new = ("sample_groups", "samples_every", "sample_characters")
    frozen["tracking"] = {k: v for k, v in frozen["tracking"].items() if k not in new} | {"samples_per_step": kept}
    tracking = CellConfig.model_validate(of_today(frozen)).tracking
    assert (tracking.sample_groups, tracking.samples_every) == (groups, 1)
    assert frozen["tracking"]["samples_per_step"] == kept  # what was read is left as it was


def test_a_key_that_is_gone_says_what_took_its_place():
    assert not set(REPLACED) & set(known_keys())
    with pytest.raises(UserError, match=r"samples_per_step: no such key any more; .* tracking\.sample_groups"):
        config_of("tracking.samples_per_step=8")
