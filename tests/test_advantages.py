"""Advantages, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from helpers.presets import algorithm
from sweep.grpo.advantages import group_advantages, rollout_advantages, shaped_rewards, whiten


def test_group_advantages_are_z_scores_of_each_group():
    rewards_pg = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
    advantages_pg = group_advantages(rewards_pg, "group_mean", "group_std", 1e-6)
    # Group 1: mean 1/2, unbiased std sqrt(4·1/4 / 3) = 0.57735. Group 2: mean 1/4, std 1/2.
    expected = torch.tensor([[0.866024, -0.866024, -0.866024, 0.866024], [-0.499999, -0.499999, -0.499999, 1.499997]])
    torch.testing.assert_close(advantages_pg, expected, atol=2e-6, rtol=0)


def test_leave_one_out_compares_with_the_mean_of_the_others():
    advantages_pg = group_advantages(torch.tensor([[3.0, 0.0, 0.0, 1.0]]), "leave_one_out", "none", 1e-6)
    # 3 - 1/3; 0 - 4/3; 0 - 4/3; 1 - 3/3.
    torch.testing.assert_close(advantages_pg, torch.tensor([[8 / 3, -4 / 3, -4 / 3, 0.0]]))


@pytest.mark.parametrize("baseline", ["group_mean", "leave_one_out"])
def test_equal_rewards_give_no_advantage_whatever_the_rounding(baseline):
    rewards_pg = torch.full((1, 7), 0.1)
    assert group_advantages(rewards_pg, baseline, "group_std", 1e-9).tolist() == [[0.0] * 7]


def test_without_baseline_and_normalisation_the_reward_is_the_advantage():
    rewards_pg = torch.tensor([[2.0], [-1.0]])
    assert group_advantages(rewards_pg, "none", "none", 1e-6).tolist() == [[2.0], [-1.0]]


def test_epsilon_is_added_to_the_standard_deviation():
    advantages_pg = group_advantages(torch.tensor([[1.0, 0.0]]), "group_mean", "group_std", 1.0)
    assert advantages_pg[0, 0].item() == pytest.approx(0.5 / (math.sqrt(0.5) + 1.0))


def test_whitening_counts_a_response_once_for_each_token():
    # Weighted mean (3·1 + 1·(-1) + 2·0 + 2·0)/8 = 1/4; weighted variance (3·9/16 + 25/16 + 4/16)/8 = 56/128 = 7/16.
    whitened_pg = whiten(torch.tensor([[1.0, -1.0], [0.0, 0.0]]), torch.tensor([[3.0, 1.0], [2.0, 2.0]]))
    expected = torch.tensor([[0.75, -1.25], [-0.25, -0.25]]) / math.sqrt(7 / 16)
    torch.testing.assert_close(whitened_pg, expected)


def test_whitening_of_nothing_but_zeros_stays_finite():
    assert whiten(torch.zeros(2, 2), torch.ones(2, 2)).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_the_papers_advantages_are_normalised_twice():
    rewards_pg = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    lengths_pg = torch.tensor([[2.0, 1.0], [1.0, 4.0]])
    advantages_pg = rollout_advantages(rewards_pg, lengths_pg, None, algorithm("paper"), max_tokens=8)
    z = 0.5 / (math.sqrt(0.5) + 1e-9)
    mean = (2 * z - z) / 8
    deviation = math.sqrt((2 * (z - mean) ** 2 + (-z - mean) ** 2 + 5 * mean**2) / 8)
    expected = torch.tensor([[z - mean, -z - mean], [-mean, -mean]]) / deviation
    torch.testing.assert_close(advantages_pg, expected)
    assert advantages_pg[1].abs().min() > 0  # the group of equal rewards has an advantage now


def test_overlong_responses_are_penalised_over_the_buffer():
    rewards_pg = torch.ones(1, 5)
    lengths_pg = torch.tensor([[10.0, 80.0, 85.0, 90.0, 100.0]])
    shaped_pg = shaped_rewards(
        rewards_pg, lengths_pg, None, algorithm("dapo", overlong_penalty=2.0, overlong_buffer=0.2), 100
    )
    torch.testing.assert_close(shaped_pg, torch.tensor([[1.0, 1.0, 0.5, 0.0, -1.0]]))


def test_kl_in_the_reward_is_taken_before_the_baseline():
    changes = {"kl_coefficient": 0.5, "kl_place": "reward"}
    advantages_pg = rollout_advantages(
        torch.ones(1, 2), torch.ones(1, 2), torch.tensor([[1.0, 3.0]]), algorithm("rloo", **changes), 8
    )
    # Rewards 1 - 0.5 and 1 - 1.5, each against the other.
    torch.testing.assert_close(advantages_pg, torch.tensor([[1.0, -1.0]]))
