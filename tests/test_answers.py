"""Extraction, and agreement with answers labelled by hand (`answers.jsonl`)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.degenerate import not_recognised, same_value_apart, satisfied_by_accident, wrongly_right
from benchmarks.golds import DEGENERATE, KINDS, golds, mutations
from helpers.constants import ROOT
from rewards.equality import answers_equal
from rewards.extraction import extract_answer
from rewards.grading import Grader, GradingConfig, Outcome, bad_gold, grade_exactly
from rewards.values import Values

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
        ("\\boxed{1} so \\boxed{\\left\\{ x>1 \\right.}", "\\left\\{ x>1 \\right.", "boxed"),
        ("\\boxed{\\left. x \\right\\}}, that is all", "\\left. x \\right\\}", "boxed"),
        ("\\boxed{\\begin{cases} 1 \\\\{2} \\end{cases}}", "\\begin{cases} 1 \\\\{2} \\end{cases}", "boxed"),
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
    assert len({(row["answer"], row["gold"]) for row in LABELLED}) == len(LABELLED) >= 2000
    assert sum(not row["equal"] for row in LABELLED) >= 700


def test_every_labelled_answer_is_judged_as_labelled(grader):
    grades = grader.grade([(row["answer"], row["gold"]) for row in LABELLED])
    wrong = [row for row, grade in zip(LABELLED, grades, strict=True) if grade.correct != row["equal"]]
    assert wrong == []


def test_what_the_exact_path_decides_the_guarded_one_decides_alike():
    """The cheap path is the same comparison without a symbolic grader: it may abstain, never disagree."""
    for row in LABELLED:
        cheap = answers_equal(row["answer"], row["gold"], Values())
        assert cheap in (None, row["equal"]), row


def test_no_degenerate_answer_is_right_by_accident(grader):
    answers = [a for k, a in enumerate(DEGENERATE) if k % 4 == 0]
    assert len(answers) >= 30
    assert satisfied_by_accident(grader, golds(300), answers) == {}


def test_no_mutated_gold_is_right_but_where_its_value_is_the_golds(grader):
    mutants = mutations(golds(1000), 1500)
    assert len(mutants) == 1500 and {kind for kind, _, _ in mutants} == set(KINDS)
    wrong, equal = wrongly_right(grader, mutants)
    assert wrong == []
    assert 0 < equal < 30


def test_golds_in_other_words_are_right(grader):
    assert not_recognised(grader, golds(300)) == []


def test_the_benchmark_of_degenerate_answers_takes_a_file_and_ends_in_json(tmp_path):
    problems = tmp_path / "problems.jsonl"
    problems.write_text("".join(json.dumps({"prompt": "?", "answer": gold}) + "\n" for gold in golds(60)))
    command = [sys.executable, "benchmarks/degenerate.py", str(problems), "--golds", "20", "--mutations", "100"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["golds"] == "problems.jsonl" and sum(found["mutations"].values()) == 100
    assert found["rewritten_answers"] == 600 and found["degenerate_golds"] == 20
    assert found["degenerate_right_by_accident"] == found["mutations_right_by_accident"] == 0


def test_other_values_are_told_apart_by_another_parser():
    assert same_value_apart("1-(\\frac{3}{4})^{2}, 5", "1-(\\frac{-3}{4})^{2}, 5")
    assert not same_value_apart("\\sin 40^\\circ", "\\cos 40^\\circ")
    assert not same_value_apart("x > 5", "x < 5")


DIGITS = 4300  # of the longest number that Python itself converts


@pytest.mark.parametrize(
    ("answer", "gold", "outcome"),
    [
        ("1" + "0" * 50_000, "10^{50000}", Outcome.RIGHT),
        ("1" + "0" * 49_999 + "1", "10^{50000}", Outcome.WRONG),
        ("10^{99999}+1", "10^{99999}", Outcome.WRONG),
        ("\\frac{2^{200000}+1}{3^{90000}}", "\\frac{2^{200000}-1}{3^{90000}}", Outcome.WRONG),
        ("2^{200000}", "4^{100000}", Outcome.RIGHT),
        ("9" * (DIGITS + 1), "9" * DIGITS + "8", Outcome.WRONG),
        ("20000!", "20000!+1", Outcome.WRONG),
        ("\\sum_{k=0}^{3000} 2^k", "2^{3001}-1", Outcome.RIGHT),
        ("1" * 200_000, "7", Outcome.UNPARSED),
        ("2^{400000}+1", "2^{400000}", Outcome.TIMEOUT),
        ("2^{400000}", "2^{400000}", Outcome.RIGHT),
        ("2^{400000}", "{2}^{{400000}}", Outcome.RIGHT),
        ("e^{20000}", "e^{20000}+1", Outcome.TIMEOUT),
        ("e^{2000}", "e^{2000}+1", Outcome.WRONG),
        ("\\pi^{-900}", "\\pi^{-901}", Outcome.WRONG),
        ("\\sqrt{2}+10^{-90}", "\\sqrt{2}", Outcome.WRONG),
        ("\\frac{1}{\\sqrt{2}-\\sqrt{2}}", "1", Outcome.WRONG),
        ("(1+\\sqrt{2})^{200}", "(1+\\sqrt{2})^{200}+(1-\\sqrt{2})^{200}", Outcome.WRONG),
        ("(1+\\sqrt{2})^{200}+(1-\\sqrt{2})^{200}", "(3+2\\sqrt{2})^{100}+(3-2\\sqrt{2})^{100}", Outcome.RIGHT),
        ("\\lfloor (1+\\sqrt{2})^{200} \\rfloor + 1", "(1+\\sqrt{2})^{200}+(1-\\sqrt{2})^{200}", Outcome.RIGHT),
        ("\\tanh 100", "1", Outcome.WRONG),
        ("\\sin \\pi", "0", Outcome.RIGHT),
        ("\\frac{1}{0}", "\\frac{1}{0}", Outcome.WRONG),
    ],
    ids=lambda text: str(text)[:20],
)
def test_numbers_are_exact_as_far_as_they_can_be_held(grader, answer, gold, outcome):
    assert grader.grade([(answer, gold)])[0].outcome is outcome


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
    assert bad_gold("") and bad_gold("  ") and bad_gold("$ $") and bad_gold("\\frac{1}{0}")
    assert not any(bad_gold(row["gold"]) for row in LABELLED if row["equal"])


def test_a_defect_that_an_answer_finds_ends_no_run(monkeypatch):
    monkeypatch.setattr("rewards.equality.read", lambda text: 1 // 0)
    assert grade_exactly("1", "2") is None


def test_plain_numbers_need_no_worker():
    grader = Grader(GradingConfig(name="test", extraction=EVERY, deadline_s=5, memory_gb=2), workers=2)
    assert [g.correct for g in grader.grade([("12", "12"), ("013", "13"), ("1/2", "0.5"), ("7", "8")])] == [1, 1, 1, 0]
    assert grader.guard.processes == []
    assert grade_exactly("\\sqrt{2}", "2") is None
