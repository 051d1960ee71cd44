"""Transitions between two evaluations, and behaviours of answers and of responses in training."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest

from helpers.scored import answered, verdicts
from sweep.errors import UserError
from sweep.score.behaviour import BehaviourTable, ConditionalAdvantage, behaviour_table, conditional_advantages
from sweep.score.means import average_at_k
from sweep.score.transitions import Change, Transition, transitions

NAMES = ["Lang→Code", "Code→Code", "Code→Lang", "Lang→Lang"]


def test_transitions_by_hand():
    """Problem a: two answers before, one with code; one after, with code. Problem b: one without, two without."""
    found = transitions(verdicts(a="wcR", b="w"), verdicts(a="cR", b="Rw"))
    assert [c.name for c in found.classes] == NAMES
    assert found.classes == (
        Transition("Lang→Code", False, True, 0.25, 0.0, 1.0, 0.25),
        Transition("Code→Code", True, True, 0.25, 1.0, 1.0, 0.0),
        Transition("Code→Lang", True, False, 0.0, None, None, 0.0),
        Transition("Lang→Lang", False, False, 0.5, 0.0, 0.5, 0.25),
    )
    assert (found.before, found.after, found.gain, found.problems) == (0.25, 0.75, 0.5, 2)
    assert found.fixed == (Change("a", 0.5, 1.0), Change("b", 0.0, 0.5)) and found.broken == ()


def random_evaluation(draw: np.random.Generator, problems: int) -> dict:
    return {
        f"p{number}": [
            answered(f"p{number}", s, draw.random() < draw.random(), behaviours=("code",) * int(draw.integers(0, 2)))
            for s in range(int(draw.integers(1, 6)))
        ]
        for number in range(problems)
    }


@pytest.mark.parametrize("seed", range(20))
def test_the_contributions_sum_to_the_gain_and_the_classes_are_those_of_all_pairs(seed):
    draw = np.random.default_rng(seed)
    problems = int(draw.integers(1, 30))
    base, final = random_evaluation(draw, problems), random_evaluation(draw, problems)
    found = transitions(base, final)
    assert math.fsum(c.contribution for c in found.classes) == pytest.approx(found.gain, abs=1e-12)
    assert math.fsum(c.share for c in found.classes) == pytest.approx(1, abs=1e-12)
    assert found.gain == pytest.approx(average_at_k(final) - average_at_k(base), abs=1e-12)
    for one in found.classes:
        share = before = after = 0.0
        for problem in base:
            pairs = list(itertools.product(base[problem], final[problem]))
            for first, second in pairs:
                if ("code" in first.behaviours, "code" in second.behaviours) == (one.had, one.has):
                    weight = 1 / len(pairs) / problems
                    share, before, after = (
                        share + weight,
                        before + weight * first.correct,
                        after + weight * second.correct,
                    )
        assert one.share == pytest.approx(share, abs=1e-12)
        if share:
            assert (one.before, one.after) == pytest.approx((before / share, after / share), abs=1e-12)
            assert one.contribution == pytest.approx(one.share * (one.after - one.before), abs=1e-12)


def test_fixed_and_broken_problems_come_with_the_largest_change_first():
    base = verdicts(same="Rw", fell="RR", rose="ww", half="ww", also="wwww")
    final = verdicts(same="wR", fell="Rw", rose="RRR", half="Rw", also="RRww")
    found = transitions(base, final)
    assert [c.problem for c in found.fixed] == ["rose", "also", "half"]
    assert [c.problem for c in found.fixed if c.strict] == ["rose"]
    assert found.broken == (Change("fell", 1.0, 0.5),) and not found.broken[0].strict
    assert transitions(verdicts(a="R"), verdicts(a="w")).broken[0].strict


def test_another_behaviour_has_its_own_name():
    base = {"a": [answered("a", 0, True, behaviours=("boxed", "code"))]}
    found = transitions(base, {"a": [answered("a")]}, "boxed")
    assert [c.name for c in found.classes if c.share] == ["boxed→no boxed"]
    assert found.behaviour == "boxed" and found.gain == -1.0


def test_different_problems_are_refused_and_counted():
    with pytest.raises(UserError, match=r"1 are in the first alone, 2 in the second alone, 1 in both .* problem a "):
        transitions(verdicts(a="R", b="R"), verdicts(b="R", c="R", d="w"))
    with pytest.raises(UserError, match=r"0 are in the first alone, 1 in the second alone"):
        transitions(verdicts(b="R"), verdicts(b="R", c="R"))
    with pytest.raises(UserError, match="no answer to score"):
        transitions({}, {})


def test_behaviours_of_answers_by_hand():
    answers = [
        answered("a", 0, True, behaviours=("boxed", "code")),
        answered("a", 1, False, behaviours=("code",)),
        answered("b", 0, True, behaviours=("code",)),
        answered("b", 1, False),
    ]
    assert behaviour_table(answers, ["code", "never", "boxed"]) == [
        BehaviourTable("code", 3, 1, 3 / 4, 2 / 3, 0.0),
        BehaviourTable("never", 0, 4, 0.0, None, 0.5),
        BehaviourTable("boxed", 1, 3, 1 / 4, 1.0, 1 / 3),
    ]
    assert behaviour_table([], ["code"]) == [BehaviourTable("code", 0, 0, None, None, None)]


@dataclass(frozen=True)
class Response:
    step: int
    slot: int
    correct: bool
    behaviours: tuple[str, ...] = ()


def test_conditional_advantage_by_hand():
    """One prompt comes in two slots: its groups stay two. A group that is all right has advantages of 0."""
    responses = [
        Response(1, 0, True, ("code",)),
        Response(1, 0, False, ("boxed",)),
        Response(1, 0, False, ("code",)),
        Response(1, 0, False),
        Response(1, 1, True, ("boxed",)),
        Response(2, 1, True, ("code",)),
        Response(2, 0, True),
        Response(2, 0, False),
        Response(2, 1, False, ("code",)),
        Response(2, 1, False, ("code",)),
    ]
    assert conditional_advantages(responses, ["code", "boxed", "never"]) == [
        ConditionalAdvantage("code", 5, pytest.approx((3 / 4 - 1 / 4 + 2 / 3 - 1 / 3 - 1 / 3) / 5)),
        ConditionalAdvantage("boxed", 2, pytest.approx(-1 / 8)),
        ConditionalAdvantage("never", 0, None),
    ]
    first = np.array([1, 0, 0, 0]) - 1 / 4
    (divided,) = conditional_advantages(responses[:4], ["boxed"], divided=True)
    assert divided.advantage == pytest.approx(first[1] / first.std(ddof=1))


@pytest.mark.parametrize("divided", [False, True])
def test_a_group_of_one_response_and_groups_without_a_difference_have_no_advantage(divided):
    alone = [Response(1, 0, True, ("code",)), Response(1, 1, False, ("code",)), Response(1, 1, False, ("code",))]
    assert conditional_advantages(alone, ["code"], divided) == [ConditionalAdvantage("code", 3, 0.0)]
    assert conditional_advantages([], ["code"], divided) == [ConditionalAdvantage("code", 0, None)]
