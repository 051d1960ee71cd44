"""Extraction, and agreement with answers labelled by hand (`answers.jsonl`)."""

from __future__ import annotations

import json

import pytest
from conftest import ROOT

from rewards.equality import Undecided, answers_equal
from rewards.extraction import extract_answer
from rewards.grading import Grader, GradingConfig, Outcome, bad_gold, grade_exactly

EVERY = ("boxed", "answer_tag", "answer_is", "last_number")
LABELLED = [json.loads(line) for line in (ROOT / "tests" / "answers.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def grader():
    with_guard = Grader(GradingConfig(name="test", extraction=EVERY, deadline_s=20, memory_gb=2), workers=2)
    yield with_guard
    with_guard.close()


@pytest.mark.parametrize(
    ("text", "answer", "strategy"),
    [
        ("so \\boxed{7}", "7", "boxed"),
        ("\\boxed{1} no, \\boxed{\\frac{1}{2}}", "\\frac{1}{2}", "boxed"),
        ("\\boxed{ 3 }.", "3", "boxed"),
        ("\\fbox{4}", "4", "boxed"),
        ("\\boxed 5 and", "5", "boxed"),
        ("\\boxed\\pi", "\\pi", "boxed"),
        ("\\boxed{\\{1,2\\}}", "\\{1,2\\}", "boxed"),
        ("\\boxed{2} and then \\boxed{unclosed", "2", "boxed"),
        ("\\boxed{}", "", "boxed"),
        ("<think>\\boxed{1}</think> <answer>\\boxed{2}</answer>", "2", "boxed"),
        ("<think>3</think> <answer> 4 </answer>", "4", "answer_tag"),
        ("<answer>1</answer> <answer>The answer is 2.</answer>", "2", "answer_tag"),
        ("<answer>1 \\boxed{unclosed </answer>", "1 \\boxed{unclosed", "answer_tag"),
        ("The answer is $\\frac{1}{2}$. So it goes.", "$\\frac{1}{2}$", "answer_is"),
        ("the final answer is: 3.5\nbye", "3.5", "answer_is"),
        ("Final Answer: 12", "12", "answer_is"),
        ("it makes 3 and then 1,234.5 dollars", "1,234.5", "last_number"),
        ("x = -7", "-7", "last_number"),
    ],
)
def test_extraction_names_its_strategy(text, answer, strategy):
    assert extract_answer(text, EVERY) == (answer, strategy)


def test_extraction_keeps_to_its_strategies():
    assert extract_answer("the answer is 7", ("boxed", "answer_tag")) is None
    assert extract_answer("nothing at all", EVERY) is None
    assert extract_answer("", EVERY) is None


def test_labelled_answers_are_many_and_near_misses_among_them():
    assert len({(row["answer"], row["gold"]) for row in LABELLED}) == len(LABELLED) >= 300
    assert sum(not row["equal"] for row in LABELLED) >= 150


def test_every_labelled_answer_is_judged_as_labelled(grader):
    grades = grader.grade([(row["answer"], row["gold"]) for row in LABELLED])
    wrong = [row for row, grade in zip(LABELLED, grades, strict=True) if grade.correct != row["equal"]]
    assert wrong == []


def test_what_the_exact_path_decides_the_guarded_one_decides_alike():
    """The cheap path is the same comparison without a symbolic grader: it may abstain, never disagree."""
    for row in LABELLED:
        cheap = answers_equal(row["answer"], row["gold"], Undecided())
        assert cheap in (None, row["equal"]), row


@pytest.mark.parametrize(
    ("answer", "gold", "outcome"),
    [
        (None, "7", Outcome.NONE),
        ("  ", "7", Outcome.NONE),
        ("8", "7", Outcome.WRONG),
        ("7", "7", Outcome.RIGHT),
        ("\\frac{1", "\\sqrt{2}", Outcome.UNPARSED),
        ("x" * 5000, "7", Outcome.UNPARSED),
        ("x" * 5000, "x" * 5000, Outcome.RIGHT),
        ("\\sqrt{3}", "\\sqrt{2}", Outcome.WRONG),
    ],
)
def test_outcomes_are_told_apart(grader, answer, gold, outcome):
    assert grader.grade([(answer, gold)])[0].outcome is outcome


def test_gold_answers_without_symbolic_form_are_compared_as_text_and_counted(grader):
    texts = grader.grade([("Evelyn", "\\text{Evelyn}"), ("east", "\\text{Evelyn}"), ("\\odot 3", "\\odot 2")])
    assert [(g.correct, g.text_gold) for g in texts] == [(True, True), (False, True), (False, True)]
    assert not grader.grade([("7", "7")])[0].text_gold


def test_a_gold_answer_is_bad_only_where_nothing_equals_it():
    assert bad_gold("") and bad_gold("  ") and bad_gold("$ $")
    assert not any(bad_gold(row["gold"]) for row in LABELLED if row["gold"])


def test_plain_numbers_need_no_worker():
    grader = Grader(GradingConfig(name="test", extraction=EVERY, deadline_s=5, memory_gb=2), workers=2)
    assert [g.correct for g in grader.grade([("12", "12"), ("013", "13"), ("1/2", "0.5"), ("7", "8")])] == [1, 1, 1, 0]
    assert grader.guard.processes == []
    assert grade_exactly("\\sqrt{2}", "2") is None
