"""Fresh problems: drawn from keys, all different, and with golds that are what the questions come to."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from pydantic import ValidationError

from models.mini import arithmetic
from models.mini.tokenizer import FAMILIES, build_tokenizer
from models.prompts import all_prompt_ids
from rewards.equality import answers_equal
from rewards.values import Values
from sweep.config.benchmarks import DecimalSums, MiniFresh, RandomCalculation
from sweep.config.data import ArithmeticData
from sweep.data.decimal_sums import decimal_sums
from sweep.data.fresh import distinct
from sweep.data.mini_fresh import mini_fresh
from sweep.data.random_calculation import MOST_DENOMINATOR, MOST_VALUE, random_calculation
from sweep.data.reading import Problem, question_key
from sweep.errors import UserError
from sweep.plan.compose import compose_cells

KINDS = {
    "decimal_sums": (DecimalSums, decimal_sums),
    "random_calculation": (RandomCalculation, random_calculation),
    "mini_fresh": (MiniFresh, mini_fresh),
}


def made(kind: str, size: int, **options) -> list[Problem]:
    schema, make = KINDS[kind]
    return make(schema(source=kind, size=size, **options))


@pytest.mark.parametrize("kind", KINDS)
def test_problem_i_of_a_seed_is_the_same_for_any_count_and_none_repeats(kind):
    many = made(kind, 300)
    assert made(kind, 20) == many[:20]
    other = made(kind, 20, problem_seed=1)
    assert not {p.question for p in other} <= {p.question for p in many}
    assert len({question_key(p.question) for p in many}) == len({p.id for p in many}) == 300


@pytest.mark.parametrize(
    ("kind", "question", "answer"),
    [
        ("decimal_sums", "80561.5 + 92253.1 - 71618.9 + 68204.3 - 71206.0 + 13144.4 = ?", "111338.4"),
        (
            "random_calculation",
            r"What is the exact value of $18^{2} \div \frac{70}{87}$?",
            "14094/35",
        ),
        ("mini_fresh", "5+5-2+1", "9"),
    ],
)
def test_the_first_problem_is_what_it_was(kind, question, answer):
    """Answers to it are kept on disk under its number, so that another draw would be given the verdicts of this one."""
    (first,) = made(kind, 1)
    assert (first.question, first.answers) == (question, (answer,))


def value_of(question: str) -> Fraction:
    """The value of a question, by Python's own arithmetic on its text."""
    text = re.sub(r"What is the exact value of|[$?=]|\\left|\\right", "", question)
    text = re.sub(r"\\frac\{(\d+)\}\{(\d+)\}", r"(F(\1)/\2)", text.replace(r"\times", "*").replace(r"\div", "/"))
    text = re.sub(r"\^\{(\d)\}", r"**\1", text)
    text = re.sub(r"(?<![\d.*F(/])(\d+(?:\.\d+)?)(?![\d.])", r"F('\1')", text)
    return eval(text, {"F": Fraction})


@pytest.mark.parametrize("kind", KINDS)
def test_golds_are_what_the_questions_come_to_and_are_graded_so(kind):
    for problem in made(kind, 120):
        gold, value = problem.answer, value_of(problem.question)
        assert Fraction(gold) == value, problem
        for spelling in spellings(value):
            assert answers_equal(spelling, gold, Values()) is True, (spelling, gold)
        for wrong in (value + 1, -value or 1, value + Fraction(1, 10**6)):
            assert answers_equal(str(wrong), gold, Values()) is False, (wrong, gold)


def spellings(value: Fraction) -> list[str]:
    """How a model may write an exact value."""
    sign, top, bottom = "-" if value < 0 else "", abs(value.numerator), value.denominator
    found = [str(value), f"${value}$", rf"{sign}\frac{{{top}}}{{{bottom}}}", rf"\frac{{{sign}{top}}}{{{bottom}}}"]
    found += [f"{sign}{2 * top}/{2 * bottom}", rf"{sign}\dfrac{{{top}}}{{{bottom}}}"]
    if bottom == 1:
        found += [f"{value}.0", f"{sign}{top:,}", f"x = {value}"]
    if 10**4 % bottom == 0:
        decimal = format(Decimal(value.numerator) / bottom, "f")
        found += [decimal, f"{decimal}0" if "." in decimal else decimal]
    if sign and bottom > 1 and top > bottom:
        return found
    return [*found, rf"{top // bottom}\frac{{{top % bottom}}}{{{bottom}}}"] if top % bottom and top > bottom else found


def test_sums_of_decimals_are_of_the_terms_and_digits_that_are_asked_for():
    for problem in made("decimal_sums", 200, min_terms=2, max_terms=4, min_digits=2, max_digits=5):
        terms = re.findall(r"[\d.]+", problem.question)
        assert 2 <= len(terms) <= 4 and re.fullmatch(r"[\d.]+( [+-] [\d.]+)+ = \?", problem.question)
        assert len({(len(term), term.index(".")) for term in terms}) == 1 and 3 <= len(terms[0]) <= 6
        assert all(term[0] not in "0." and term[-1] != "." for term in terms)
    counts = {len(re.findall(r"[\d.]+", p.question)) for p in made("decimal_sums", 200)}
    assert counts == {3, 4, 5, 6}


def test_a_calculation_has_as_many_operations_as_its_depth_and_stays_within_the_limits():
    problems = made("random_calculation", 200)
    for i, problem in enumerate(problems):
        depth = 1 + i % 20
        assert problem.id == f"depth-{depth:02d}-{i}"
        assert len(re.findall(r" (?:\+|-|\\times|\\div) ", problem.question)) == depth
        value = Fraction(problem.answer)
        assert 0 < abs(value) <= MOST_VALUE and value.denominator <= MOST_DENOMINATOR
        numbers = [int(n) for n in re.findall(r"(?<!\^\{)\b\d+", problem.question)]
        assert all(number <= 100 for number in numbers)
    signs = "".join(p.question for p in problems)
    assert all(signs.count(sign) > 100 for sign in (" + ", " - ", r"\times", r"\div", r"\frac", "^{2}", "^{3}"))
    assert {p.id[:8] for p in made("random_calculation", 30, min_depth=5, max_depth=5)} == {"depth-05"}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fresh_sum_for_the_minis_fits_their_vocabulary_and_prompt(family):
    (cell,) = compose_cells([f"model={dict(qwen='qwen2_mini').get(family, f'{family}_mini')}"])
    config, tokenizer = cell.config, build_tokenizer(family)
    longest = [p.question for p in made("mini_fresh", 20, min_operations=8, max_operations=8)]
    assert all(tokenizer.decode(tokenizer.encode(q, add_special_tokens=False)) == q for q in longest)
    prompts = all_prompt_ids(tokenizer, config.model, config.prompt, longest)
    assert isinstance(config.data, ArithmeticData) and config.data.max_prompt_tokens == 32
    assert max(map(len, prompts)) <= 32


def test_no_mini_has_seen_a_fresh_sum():
    seen = {p.text for split in arithmetic.SPLITS for p in arithmetic.problems(split)}
    fresh = {p.question for p in made("mini_fresh", 500)}
    assert not fresh & seen and all(len(re.findall(r"[+-]", q)) == 3 for q in fresh)


def test_more_problems_than_there_are_is_refused():
    def draw(rng, i) -> Problem:
        return Problem(str(i), str(rng.integers(0, 5)), ("1",))

    assert sorted(p.question for p in distinct("fives", 0, 5, draw)) == ["0", "1", "2", "3", "4"]
    with pytest.raises(UserError, match=r"fives: size=6: after 5 problems, .* only repeated ones; lower size"):
        distinct("fives", 0, 6, draw)


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("decimal_sums", {"min_terms": 7}, "min_terms=7 is above max_terms=6; raise max_terms or lower min_terms"),
        ("decimal_sums", {"min_digits": 7}, "min_digits=7 is above max_digits=6"),
        ("random_calculation", {"min_depth": 4, "max_depth": 3}, "min_depth=4 is above max_depth=3"),
        ("random_calculation", {"max_depth": 21}, "less than or equal to 20"),
        ("mini_fresh", {"min_operations": 2}, "greater than or equal to 3"),
        ("mini_fresh", {"min_operations": 4}, "min_operations=4 is above max_operations=3"),
    ],
)
def test_options_that_allow_nothing_are_refused(kind, options, said):
    with pytest.raises(ValidationError, match=said):
        KINDS[kind][0](source=kind, size=1, **options)
