"""Extraction, equality and the reward signals."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from rewards.answers import answers_equal, extract_answer
from rewards.behaviour import uses_code
from rewards.signals import Response, RewardConfig
from sweep.run.keyed import generator


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so \\boxed{7}", "7"),
        ("\\boxed{1} no, \\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{ 3 }.", "3"),
        ("\\boxed{2} and then \\boxed{unclosed", "2"),
        ("\\boxed{}", ""),
        ("nothing", None),
        ("", None),
    ],
)
def test_extract_answer(text, answer):
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("answer", "gold", "equal"),
    [
        ("7", "7", True),
        ("142", "142.0", True),
        ("070", "70", True),
        ("1/2", "0.5", True),
        ("-3", "−3", True),
        ("p - q", "p-q", True),
        ("$\\frac{1}{2}$", "\\frac{1}{2}", True),
        ("7", "8", False),
        ("1/0", "0", False),
        ("", "", False),
        (None, "7", False),
        ("9" * 1000, "9", False),
    ],
)
def test_answers_equal(answer, gold, equal):
    assert answers_equal(answer, gold) is equal


def group(*texts: str, gold: str = "7") -> list[Response]:
    def draw(place: int):
        return lambda purpose: float(generator(purpose, place).random())

    return [Response(text, gold, draw(i)) for i, text in enumerate(texts)]


def signal(**options):
    return TypeAdapter(RewardConfig).validate_python(options)


def test_ground_truth_and_format():
    responses = group("\\boxed{7}", "\\boxed{8}", "7", "\\boxed{}")
    assert signal(name="ground_truth").score(responses) == [1.0, 0.0, 0.0, 0.0]
    assert signal(name="format").score(responses) == [1.0, 1.0, 0.0, 0.0]


def test_random_reward_is_a_function_of_place_not_of_text_or_order():
    half = signal(name="random", probability=0.5)
    rewards = half.score(group(*["x"] * 2000))
    assert rewards == half.score(group(*["y"] * 2000))
    assert 0.45 < sum(rewards) / 2000 < 0.55
    assert signal(name="random", probability=0.0).score(group("x", "y")) == [0.0, 0.0]
    assert signal(name="random", probability=1.0).score(group("x", "y")) == [1.0, 1.0]


def test_options_out_of_range_or_of_another_reward_are_refused():
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        signal(name="random", probability=1.5)
    with pytest.raises(ValidationError, match="Extra inputs"):
        signal(name="ground_truth", probability=0.5)


def test_code_is_detected_as_in_the_paper():
    assert uses_code("```python\nprint(1)")
    assert not uses_code("First 3+4=7")
