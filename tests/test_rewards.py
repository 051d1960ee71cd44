"""The reward signals, alone and composed."""

from __future__ import annotations

import os

import pytest
from pydantic import TypeAdapter, ValidationError

from rewards.base import Response
from rewards.behaviour import repeats_itself, uses_code
from rewards.extraction import extract_answer
from rewards.grading import grade_exactly
from rewards.signals import REWARD_NAMES, RewardConfig
from rewards.vote import count_votes
from sweep.errors import UserError
from sweep.keyed import generator
from sweep.plan.compose import compose_cells
from sweep.plan.files import CONF
from sweep.plan.signature import training_identity


def judge(pairs):
    return [grade_exactly(answer, gold).correct for answer, gold in pairs]


def group(*texts: str, gold: str = "7", label: str | None = None) -> list[Response]:
    def draw(place: int):
        return lambda purpose: float(generator(purpose, place).random())

    found = [extract_answer(text) for text in texts]
    answers = [f and f.text for f in found]
    correct = judge([(a, gold) for a in answers])
    return [
        Response("3+4", text, gold, a, c, False, draw(i), label)
        for i, (text, a, c) in enumerate(zip(texts, answers, correct, strict=True))
    ]


def signal(**options):
    return TypeAdapter(RewardConfig).validate_python(options)


def score(responses: list[Response], **options) -> list[float]:
    (rewards,) = signal(**options).score([responses], judge)
    return rewards


def test_every_reward_has_a_file_and_every_file_a_reward():
    assert {file.stem for file in (CONF / "reward").glob("*.yaml")} == set(REWARD_NAMES)


def test_simple_rewards():
    responses = group("\\boxed{7}", "\\boxed{8} python", "7", "\\boxed{}", "\\boxed{07}")
    assert score(responses, name="ground_truth") == [1, 0, 0, 0, 1]
    assert score(responses, name="format") == [1, 1, 0, 0, 1]
    assert score(responses, name="python") == [0, 1, 0, 0, 0]
    assert score(responses, name="no_python") == [1, 0, 1, 1, 1]
    assert score(responses, name="constant") == [1] * 5
    assert score(responses, name="constant", reward=-0.5) == [-0.5] * 5


def test_no_repetition():
    sentence = "We add the two numbers and look at what is left of them when both are odd or even. "
    assert score(group(sentence * 2, sentence * 3, "ha" * 60, "short"), name="no_repetition") == [1, 0, 0, 1]
    assert repeats_itself("abcabcabc", characters=3, times=3)
    assert not repeats_itself("abcabcab", characters=3, times=3)


def test_random_reward_is_a_function_of_place_not_of_text_or_order():
    rewards = score(group(*["x"] * 2000), name="random")
    assert rewards == score(group(*["y"] * 2000), name="random")
    assert 0.45 < sum(rewards) / 2000 < 0.55
    assert score(group("x", "y"), name="random", probability=0.0) == [0.0, 0.0]
    assert score(group("x", "y"), name="random", probability=1.0) == [1.0, 1.0]
    less = score(group(*["x"] * 2000), name="random", probability=0.3)
    assert all(a <= b for a, b in zip(less, rewards, strict=True))  # the same draws, another threshold


def test_labels_are_the_target_of_majority_vote_and_incorrect():
    responses = group("\\boxed{7}", "\\boxed{8.0}", "none", label="8")
    for name in ("majority_vote", "incorrect"):
        assert score(responses, name=name) == [0, 1, 0]
        assert signal(name=name).needs_labels
    assert signal(name="incorrect").wrong_labels_only and not signal(name="majority_vote").wrong_labels_only
    composed = signal(name="all_of", rewards=["format", {"name": "not", "reward": "incorrect"}])
    assert composed.needs_labels and composed.wrong_labels_only and composed.votes == {"equivalence"}
    assert not signal(name="all_of", rewards=["format", "random"]).needs_labels


def test_online_majority_votes_within_the_group():
    responses = group("\\boxed{8}", "\\boxed{1/2}", "\\boxed{0.5}", "\\boxed{8}", "nothing", "\\boxed{\\frac12}")
    assert score(responses, name="majority_vote_online") == [0, 1, 1, 0, 0, 1]
    assert score(responses, name="majority_vote_online", vote="string") == [1, 0, 0, 1, 0, 0]
    assert score(group("", "\\boxed{ }"), name="majority_vote_online") == [0, 0]


def test_votes_are_counted_by_the_same_equality_as_answers_are_graded():
    answers = ["2^{100}+1", "4^{50}", "2^{100}", "1267650600228229401496703205376", "\\infty", "\\frac{1}{0}", "x=3=5"]
    ((first, *rest),) = count_votes([answers], "equivalence", judge)
    assert first.answer == "4^{50}" and first.voters == (1, 2, 3)
    assert [ballot.voters for ballot in rest] == [(0,), (4,), (5,), (6,)]


def test_ties_go_to_the_class_that_appears_first_and_empty_answers_do_not_vote():
    ((first, second),) = count_votes([["2", "1", "1", "2", None, "", " "]], "equivalence", judge)
    assert (first.answer, first.voters, second.answer) == ("2", (0, 3), "1")
    assert count_votes([[None, ""], []], "equivalence", judge) == [[], []]
    ((first, *_),) = count_votes([["0.50", "1/2", "2", "2", "1/2", "0.5"]], "equivalence", judge)
    assert first == ("1/2", (0, 1, 4, 5))


def test_composition():
    responses = group("\\boxed{7}", "\\boxed{7} python", "\\boxed{8}", "python")
    assert score(responses, name="all_of", rewards=["ground_truth", "no_python"]) == [1, 0, 0, 0]
    assert score(responses, name="any_of", rewards=["ground_truth", "python"]) == [1, 1, 0, 1]
    assert score(responses, name="not", reward="format") == [0, 0, 0, 1]
    weighted = {"name": "weighted", "rewards": ["ground_truth", "format"], "weights": [0.75, 0.25]}
    assert score(responses, **weighted) == [1, 1, 0.25, 0]
    nested = [{"name": "all_of", "rewards": ["format", {"name": "not", "reward": "python"}]}, "ground_truth"]
    assert score(responses, name="any_of", rewards=nested) == [1, 1, 1, 0]


def test_the_parts_of_a_composition_draw_apart():
    pair = ["random", "random"]
    both = score(group(*["x"] * 4000), name="all_of", rewards=pair)
    assert 0.22 < sum(both) / 4000 < 0.28


@pytest.mark.parametrize(
    ("options", "title"),
    [
        ({"name": "random"}, "random"),
        ({"name": "all_of", "rewards": ["format", "no_python"]}, "format_and_no_python"),
        ({"name": "not", "reward": "python"}, "not_python"),
        (
            {"name": "any_of", "rewards": [{"name": "all_of", "rewards": ["format", "no_python"]}, "ground_truth"]},
            "format_and_no_python__or__ground_truth",
        ),
        (
            {"name": "all_of", "rewards": ["format", {"name": "any_of", "rewards": ["no_python", "ground_truth"]}]},
            "format__and__no_python_or_ground_truth",
        ),
        ({"name": "weighted", "rewards": ["format", "python"], "weights": [0.9, -1]}, "0.9_format_plus_-1_python"),
    ],
)
def test_titles_are_readable_and_tell_nestings_apart(options, title):
    assert signal(**options).title == title


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "random", "probability": 1.5}, "less than or equal to 1"),
        ({"name": "ground_truth", "probability": 0.5}, "Extra inputs"),
        ({"name": "weighted", "rewards": ["format"], "weights": [1, 2]}, "2 weights for 1 rewards"),
        ({"name": "all_of", "rewards": []}, "at least 1"),
        ({"name": "not", "reward": "pyton"}, "pyton"),
    ],
)
def test_options_out_of_range_or_of_another_reward_are_refused(options, words):
    with pytest.raises(ValidationError, match=words):
        signal(**options)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["reward=not", "reward.reward=pyton"], ["reward.reward", "no reward is named pyton", "Did you mean python"]),
        (
            ["reward=all_of", "reward.rewards=[format,{name: random, probabilty: 0.1}]"],
            ["reward.rewards.1.probabilty", "random has no such option. Did you mean probability"],
        ),
        (
            ["reward=all_of", "reward.rewards=[{name: random, probability: 2}]"],
            ["rewards.0.probability=2", "or equal to 1"],
        ),
        (["reward=all_of"], ["reward.rewards: has no default"]),
        (["reward=custom", "reward.target=nowhere:f"], ["reward.target=nowhere:f: no module nowhere"]),
        (["reward=custom", "reward.target=rewards.vote:elect"], ["defines no elect", "count_votes"]),
        (["reward=custom", "reward.target=rewards.vote"], ["reward.target='rewards.vote'", "package.module:function"]),
        (["grading.extraction=[boxd]"], ["grading.extraction.0='boxd'", "last_number"]),
    ],
)
def test_mistakes_are_named(overrides, words):
    with pytest.raises(UserError) as caught:
        compose_cells(overrides)
    for word in words:
        assert word in str(caught.value)


def test_code_is_detected_as_in_the_paper():
    assert uses_code("```python\nprint(1)")
    assert not uses_code("First 3+4=7")


OWN = """
from mine.helper import LONG

def brevity(group):
    return [float(len(r.text) < LONG) for r in group]

def broken(group):
    return [1.0]
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    (tmp_path / "mine" / "helper.py").write_text("LONG = 5\n")
    (tmp_path / "mine" / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine" / "own.py"


def test_a_function_of_the_users_is_found_here_and_frozen(own_module, tmp_path, monkeypatch):
    overrides = ["reward=custom", "reward.target=mine.own:brevity"]
    (cell,) = compose_cells(overrides)
    assert cell.label == "model=qwen2_mini reward=custom_brevity seed=0"
    frozen = type(cell.config).model_validate(cell.config.model_dump(mode="json"))
    own_module.write_text(OWN.replace("<", ">"))
    (edited,) = compose_cells(overrides)
    assert training_identity(cell.config) != training_identity(edited.config)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # as a job, which runs from the code's snapshot
    assert frozen.reward.score([group("1234", "123456")], judge) == [[1.0, 0.0]]
    assert training_identity(frozen) == training_identity(cell.config)


def test_a_function_that_returns_nonsense_is_an_error(own_module):
    (cell,) = compose_cells(["reward=custom", "reward.target=mine.own:broken"])
    with pytest.raises(ValueError, match="returned 1 rewards; it must return one finite number for each of the 2"):
        cell.config.reward.score([group("a", "b")], judge)
    assert os.getcwd() == str(own_module.parents[1])
