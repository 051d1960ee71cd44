"""Controls: rewards that tell less of the truth than another, or nothing; what each keeps and what each removes."""

from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from helpers.constants import ROOT, TINY
from helpers.made_up_groups import made_up, of_mixed_difficulty, rewards_of, signal
from rewards.behaviours import Found
from rewards.grading import Grade, Outcome
from rewards.informedness import Judged, Rates, mixed, rates, rates_within
from sweep.data.problems import Problem
from sweep.errors import UserError
from sweep.plan.compose import compose_cells
from sweep.plan.signature import training_identity
from sweep.rollout.sample import Finish, Sampled
from sweep.run.directory import RunDirectory
from sweep.run.identity import signature
from sweep.run.provenance import WEIGHTS
from sweep.stages.grading import Graded, graded_metrics
from sweep.stages.groups import Group

GROUPS = of_mixed_difficulty(200)
TEXTS = ["", "python", "x = 3\npython", "a long answer in prose", "3+4=7"]
FROZEN = ["optimizer.learning_rate=0"]


def noisy(true: float, false: float, reward="ground_truth", **options) -> dict:
    return {"name": "noisy", "reward": reward, "true_positive_rate": true, "false_positive_rate": false, **options}


def judged(reward, groups=GROUPS) -> list[list[Judged]]:
    scored = rewards_of(reward, groups)
    return [
        [Judged(value > 0, response.correct) for response, value in zip(group, values, strict=True)]
        for group, values in zip(groups, scored, strict=True)
    ]


def mean_and_error(groups: list[list[Judged]]) -> tuple[float, float]:
    """J within groups, and its standard error over groups."""
    of_groups = [rates(group).informedness for group in mixed(groups)]
    assert rates_within(groups).informedness == pytest.approx(np.mean(of_groups))
    return float(np.mean(of_groups)), float(np.std(of_groups, ddof=1) / np.sqrt(len(of_groups)))


def test_shuffling_keeps_each_groups_rewards_and_deals_them_out_by_place_alone():
    truth, shuffled = rewards_of("ground_truth", GROUPS), rewards_of("shuffled", GROUPS)
    assert [sorted(group) for group in shuffled] == [sorted(group) for group in truth]
    moved = [a != b for a, b, group in zip(truth, shuffled, GROUPS, strict=True) if len({r.correct for r in group}) > 1]
    assert sum(moved) > 0.9 * len(moved)
    again = [[made_up(slot, s, "another text", r.correct) for s, r in enumerate(g)] for slot, g in enumerate(GROUPS)]
    assert rewards_of("shuffled", again) == shuffled
    assert rewards_of("shuffled", GROUPS[7:8]) == shuffled[7:8]  # whatever else is graded with it


def test_every_order_of_a_group_is_as_likely():
    groups = [[made_up(slot, s, correct=s == 0) for s in range(3)] + [made_up(slot, 3)] for slot in range(6000)]
    places = [group.index(1.0) for group in rewards_of("shuffled", groups)]
    assert np.bincount(places) == pytest.approx([1500] * 4, abs=4 * np.sqrt(6000 * 3 / 16))
    two = [[made_up(slot, s, correct=s < 2) for s in range(4)] for slot in range(6000)]
    found = {tuple(group) for group in rewards_of("shuffled", two)}
    assert found == set(permutations([1.0, 1.0, 0.0, 0.0]))


@pytest.mark.parametrize(
    ("reward", "within", "pooled"),
    [
        ("ground_truth", 1.0, 1.0),
        ({"name": "not", "reward": "ground_truth"}, -1.0, -1.0),
        ("random", 0.0, 0.0),
        ({"name": "random", "probability": 0.1}, 0.0, 0.0),
        ("shuffled", 0.0, 0.5),  # it knows which problems are easy, and nothing of the responses to any
        (noisy(0.9, 0.2), 0.7, 0.7),
        (noisy(0.4, 0.4), 0.0, 0.0),
        (noisy(0.2, 0.6), -0.4, -0.4),
        (noisy(1.0, 1.0, when={"behaviour": "code"}), 2 / 3, 2 / 3),  # a third of the wrong answers passes
    ],
)
def test_informedness_is_what_the_reward_says_within_groups(reward, within, pooled):
    groups = judged(reward)
    mean, error = mean_and_error(groups)
    assert error < 0.03 and abs(mean - within) <= 4 * error + 1e-12
    assert rates([r for group in groups for r in group]).informedness == pytest.approx(pooled, abs=0.05)


def test_rates_by_hand():
    right, wrong = Judged(True, True), Judged(False, False)  # as the truth rewards them
    missed, passed = Judged(False, True), Judged(True, False)
    first = [right, right, missed, wrong]  # 2/3 of the right ones, none of the wrong one
    second = [right, passed, wrong, wrong]  # the right one, 1/3 of the wrong ones
    alike = [[right] * 4, [passed] * 4]
    assert rates(first) == Rates(2 / 3, 0.0) and rates(second) == Rates(1.0, 1 / 3)
    assert rates_within([first, second, *alike]) == Rates((2 / 3 + 1) / 2, (0 + 1 / 3) / 2)
    assert rates_within([first, second]).informedness == pytest.approx(2 / 3)
    assert rates([*first, *second]) == Rates(3 / 4, 1 / 4)
    assert mixed([first, *alike]) == [first]
    assert rates(alike[0]) == Rates(1.0, None) and rates(alike[0]).informedness is None
    assert rates_within(alike) == Rates(None, None) == rates_within([]) == rates([])
    assert rates_within(alike).informedness is None


def graded_group(slot: int, *responses: tuple[float, bool]) -> Group[Graded]:
    """A group whose responses have these rewards, and are right where it says so."""
    sampled = Sampled([1], [2], [0.0], Finish.EOS, "")
    grades = [(reward, Grade(Outcome.RIGHT if correct else Outcome.WRONG)) for reward, correct in responses]
    graded = [Graded(sampled, reward, grade, None, Found(())) for reward, grade in grades]
    return Group(slot, Problem("p", "3+4", ("7",)), graded)


def test_a_step_logs_the_rates_of_its_groups_and_of_the_batch():
    """Slot 9 took the place of a group that was sampled before it; a reward that is not binary counts above 0."""
    first = graded_group(0, (0.5, True), (1.0, True), (0.0, True), (-1.0, False))
    second = graded_group(9, (1.0, True), (0.1, False), (0.0, False), (0.0, False))
    alike = graded_group(2, *[(1.0, True)] * 4)
    row = graded_metrics([first, second, alike], ["boxed"])
    assert {name: value for name, value in row.items() if "rate" in name or "inform" in name or "mixed" in name} == {
        "reward/mixed_share": pytest.approx(2 / 3),
        "reward/true_positive_rate": pytest.approx((2 / 3 + 1) / 2),
        "reward/false_positive_rate": pytest.approx((0 + 1 / 3) / 2),
        "reward/informedness": pytest.approx(2 / 3),
        "reward/pooled_true_positive_rate": 7 / 8,
        "reward/pooled_false_positive_rate": 1 / 4,
        "reward/pooled_informedness": 5 / 8,
    }
    none = graded_metrics([alike], ["boxed"])
    assert none["reward/mixed_share"] == 0 and none["reward/pooled_true_positive_rate"] == 1
    assert (
        none["reward/informedness"] is none["reward/true_positive_rate"] is none["reward/pooled_informedness"] is None
    )


BASES = [
    "ground_truth",
    "format",
    "majority_vote",
    "random",
    {"name": "any_of", "rewards": ["random", {"name": "all_of", "rewards": ["python", "random"]}]},
    {"name": "not", "reward": "shuffled"},
    {"name": "constant", "reward": 0.0},
    noisy(0.7, 0.2),
]


@pytest.mark.parametrize("base", BASES, ids=lambda base: signal(base).title)
@pytest.mark.parametrize(
    "wrapped", [lambda r: r, lambda r: {"name": "all_of", "rewards": ["format", r]}], ids=["", "in"]
)
def test_the_limits_of_noisy_hold_bit_for_bit(base, wrapped):
    def scored(reward) -> list[list[float]]:
        return rewards_of(wrapped(reward), GROUPS[:20])

    assert scored(noisy(1.0, 0.0, base)) == scored(base)
    assert scored(noisy(0.0, 1.0, base)) == scored({"name": "not", "reward": base})
    for probability in (0.0, 0.3, 0.5, 1.0):
        assert scored(noisy(probability, probability, base)) == scored({"name": "random", "probability": probability})


def test_noise_on_a_random_base_has_its_rates():
    """The base must not take the draws that the noise takes."""
    groups = [[made_up(slot, s) for s in range(16)] for slot in range(500)]
    rewards = np.array(rewards_of(noisy(0.8, 0.4), groups))
    assert rewards.mean() == pytest.approx(0.4, abs=0.02)  # no answer is right
    of_random = np.array(rewards_of(noisy(0.8, 0.4, {"name": "random", "probability": 0.25}), groups))
    assert of_random.mean() == pytest.approx(0.25 * 0.8 + 0.75 * 0.4, abs=0.02)


@pytest.mark.parametrize(
    ("when", "selected"),
    [
        ({"contains": "x = "}, [0, 0, 1, 0, 0]),
        ({"contains": "3"}, [0, 0, 1, 0, 1]),
        ({"behaviour": "code"}, [0, 1, 1, 0, 0]),
        ({"behaviour": "prose"}, [1, 0, 0, 1, 1]),
        ({"min_characters": 6}, [0, 1, 1, 1, 0]),
        ({"max_characters": 6}, [1, 1, 0, 0, 1]),
        ({"max_characters": 0}, [1, 0, 0, 0, 0]),
        ({"min_characters": 5, "max_characters": 12}, [0, 1, 1, 0, 1]),
        ({"behaviour": "code", "contains": "3", "min_characters": 1}, [0, 0, 1, 0, 0]),
    ],
)
def test_a_selector_says_which_responses_are_noisy(when, selected):
    group = [made_up(0, s, text, correct=s % 2 == 0) for s, text in enumerate(TEXTS)]
    (truth,) = rewards_of("ground_truth", [group])
    (inverted,) = rewards_of(noisy(0.0, 1.0, when=when), [group])
    assert inverted == [1 - t if chosen else t for t, chosen in zip(truth, selected, strict=True)]
    (half,) = rewards_of(noisy(0.5, 0.5, when=when), [group])
    (coins,) = rewards_of("random", [group])
    assert half == [coin if chosen else t for t, coin, chosen in zip(truth, coins, selected, strict=True)]


SELECTORS = {"contains": "python", "behaviour": "code", "max_characters": 9, "min_characters": 9}
NOT_BINARY = "noisy turns ones and zeros into each other, so that it needs a base whose rewards are all 0 or 1"
HALF = "{name: constant, reward: 0.5}"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([f"reward.reward={HALF}"], f"reward.reward=constant: {NOT_BINARY}"),
        (
            ["reward.reward={name: weighted, rewards: [format], weights: [0.5]}"],
            f"reward.reward=0.5_format: {NOT_BINARY}",
        ),
        (
            [f"reward.reward={{name: all_of, rewards: [format, {{name: not, reward: {HALF}}}]}}"],
            f"reward.reward=format__and__not_constant: {NOT_BINARY}",
        ),
        (["reward.true_positive_rate=1.5"], "reward.true_positive_rate=1.5: Input should be less than or equal to 1"),
        (
            ["reward.false_positive_rate=-1"],
            "reward.false_positive_rate=-1: Input should be greater than or equal to 0",
        ),
        (["reward.true_positive=1"], "reward.true_positive: no such key. Did you mean reward.true_positive_rate"),
        (["reward.when={}"], "reward.when: selects by nothing; set contains or behaviour or min_characters or max_"),
        (["reward.when.contains="], "reward.when.contains='': String should have at least 1 character"),
        (["reward.when.contians=a"], "reward.when.contians: noisy has no such option. Did you mean when.contains?"),
        (["reward.when.behaviour=loops"], "reward.when.behaviour='loops': Input should be 'code' or 'prose'"),
        (["reward.when=python"], "reward.when='python': is a section; set reward.when.behaviour="),
        (
            ["reward.when.min_characters=9", "reward.when.max_characters=8"],
            "reward.when.min_characters=9: is above max_characters=8, so that no text is selected",
        ),
    ],
)
def test_mistakes_are_found_when_planning(typed, said):
    with pytest.raises(UserError) as caught:
        compose_cells(["reward=noisy", *typed])
    assert said in str(caught.value)


def test_a_mistake_within_a_composition_has_its_place():
    with pytest.raises(UserError, match=r"reward\.rewards\.1\.reward=constant: noisy turns"):
        compose_cells(["reward=all_of", f"reward.rewards=[format,{{name: noisy, reward: {HALF}}}]"])


@pytest.mark.parametrize(
    ("reward", "is_binary"),
    [
        ("ground_truth", True),
        ("shuffled", True),
        ("random", True),
        ({"name": "constant", "reward": 0.0}, True),
        ({"name": "constant", "reward": 2.0}, False),
        ({"name": "weighted", "rewards": ["format"], "weights": [1.0]}, False),
        ({"name": "custom", "target": "json:dumps"}, None),
        ({"name": "any_of", "rewards": ["format", {"name": "custom", "target": "json:dumps"}]}, None),
        (noisy(0.9, 0.1, {"name": "not", "reward": {"name": "custom", "target": "json:dumps"}}), None),
        ({"name": "all_of", "rewards": [{"name": "custom", "target": "json:dumps"}, {"name": "constant", "reward": 3}]},
         False),
    ],
)  # fmt: skip
def test_what_is_known_of_a_rewards_values(reward, is_binary):
    assert signal(reward).is_binary is is_binary


def test_a_function_whose_rewards_turn_out_not_to_be_binary_ends_the_job(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text("def f(group): return [1.0 if r.correct else 0.25 for r in group]\n")
    monkeypatch.chdir(tmp_path)
    base = {"name": "not", "reward": {"name": "custom", "target": "own:f"}}
    right, wrong = made_up(0, 0, correct=True), made_up(0, 1)
    assert rewards_of(noisy(1.0, 0.0, base), [[right]]) == [[0.0]]
    with pytest.raises(ValueError, match=f"reward=noisy: the base not_custom_f gave 0.75; {NOT_BINARY}"):
        rewards_of(noisy(1.0, 0.0, base), [[right], [right, wrong]])


@pytest.mark.parametrize(
    ("reward", "reads", "needs", "wrong_only"),
    [
        ("shuffled", True, False, False),
        (noisy(0.9, 0.1), True, False, False),
        (noisy(0.9, 0.1, "format"), False, False, False),
        (noisy(0.5, 0.5, {"name": "incorrect", "vote": "string"}), True, True, True),
        ({"name": "all_of", "rewards": ["format", noisy(0.9, 0.1, "majority_vote")]}, True, True, False),
    ],
)
def test_what_a_control_reads_is_what_its_base_reads(reward, reads, needs, wrong_only):
    found = signal(reward)
    assert (found.reads_grading, found.needs_labels, found.wrong_labels_only) == (reads, needs, wrong_only)
    assert signal(noisy(0.5, 0.5, {"name": "incorrect", "vote": "string"})).votes == {"string"}


def test_what_is_set_makes_the_run_and_what_is_not_does_not():
    (cell,) = compose_cells(["reward=noisy", "reward.when=null"])

    def sign(**options) -> str:
        identity = training_identity(cell.config.model_copy(update={"reward": signal({"name": "noisy", **options})}))
        assert "None" not in str(identity["reward"])
        return signature(identity)

    changes = [
        {}, {"true_positive_rate": 0.8}, {"false_positive_rate": 0.2}, {"reward": "format"},
        *({"when": {key: value}} for key, value in SELECTORS.items()),
    ]  # fmt: skip
    assert len({sign(**options) for options in changes}) == len(changes)
    assert sign(reward={"name": "ground_truth"}) == sign() == signature(training_identity(cell.config))
    assert sign(when={"behaviour": "code", "contains": None}) == sign(when={"behaviour": "code"})


@pytest.mark.parametrize(
    ("reward", "title"),
    [
        ("shuffled", "shuffled"),
        (noisy(0.9, 0.1), "noisy_ground_truth"),
        (noisy(0.9, 0.1, {"name": "all_of", "rewards": ["format", "python"]}), "noisy__format_and_python"),
        ({"name": "all_of", "rewards": [noisy(0.9, 0.1, "format"), "python"]}, "noisy_format__and__python"),
        (noisy(0.9, 0.1, when={"behaviour": "code"}), "noisy_ground_truth_when_code"),
        (noisy(0.9, 0.1, when={"contains": "the answer is, as ever, 7"}),
         "noisy_ground_truth_when_has_the_answer_is_as_ever_7"),
        (noisy(0.9, 0.1, when={"contains": "#", "min_characters": 9, "max_characters": 12}),
         "noisy_ground_truth_when_has_text_from_9_to_12"),
    ],
)  # fmt: skip
def test_titles_say_what_is_noisy(reward, title):
    assert signal(reward).title == title


def test_a_bare_name_is_the_file_of_that_name():
    (cell,) = compose_cells(["reward=noisy"])
    assert cell.config.reward == signal("noisy")
    with pytest.raises(ValidationError, match="Extra inputs"):
        signal({"name": "shuffled", "reward": "format"})


def test_both_train_and_log_what_they_say_of_the_truth(shell, tmp_path):
    small = [typed for typed in TINY if not typed.startswith(("model.mini", "rollout"))]
    shell.launch("-m", "reward=shuffled,noisy", *small, "steps=1", "algorithm.prompts_per_step=8", *FROZEN)
    runs = [RunDirectory(path) for path in (tmp_path / "runs" / "cells").iterdir()]
    rows = {run.read_config().reward.name: run.read_metrics() for run in runs}
    (shuffled,), (noised,) = rows["shuffled"], rows["noisy"]
    assert shuffled["reward/mean"] == shuffled["reward/true_mean"] == noised["reward/true_mean"]  # the same responses
    assert 0 < shuffled["reward/mixed_share"] == noised["reward/mixed_share"] <= 1
    assert noised["reward/informedness"] > 0.4 > abs(shuffled["reward/informedness"])
    for row in (shuffled, noised):
        for kind in ("", "pooled_"):
            true, false = (row[f"reward/{kind}{rate}_positive_rate"] for rate in ("true", "false"))
            assert row[f"reward/{kind}informedness"] == pytest.approx(true - false)
    (run,) = (run for run in runs if "shuffled" in run.path.name)
    kept = [json.loads(line) for line in run.samples.read_text().splitlines()]
    assert sum(line["reward"] for line in kept) == sum(line["outcome"] == "right" for line in kept)
    untrained = load_file(ROOT / WEIGHTS / "qwen" / "model.safetensors")
    untrained["model.embed_tokens.weight"] = untrained.pop("lm_head.weight")  # one tensor, stored under either name
    trained = load_file(run.final / "model.safetensors")
    assert run.read_metrics()[0]["train/grad_norm"] > 0
    assert all(torch.equal(value.float(), untrained[name].float()) for name, value in trained.items())  # at rate 0
