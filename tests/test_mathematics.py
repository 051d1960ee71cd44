"""The pure functions, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from sweep.compare.statistics import t_interval
from sweep.grpo.advantages import group_advantages
from sweep.grpo.loss import policy_loss, token_weights
from sweep.rollout.sample import draw_tokens
from sweep.run.keyed import generator


def test_group_advantages_are_z_scores_of_each_group():
    rewards_pg = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
    advantages_pg = group_advantages(rewards_pg, "group_mean", "group_std")
    # Group 1: mean 1/2, unbiased std sqrt(4·1/4 / 3) = 0.57735. Group 2: mean 1/4, std 1/2.
    expected = torch.tensor([[0.866024, -0.866024, -0.866024, 0.866024], [-0.499999, -0.499999, -0.499999, 1.499997]])
    torch.testing.assert_close(advantages_pg, expected, atol=2e-6, rtol=0)


def test_equal_rewards_give_no_advantage_whatever_the_rounding():
    rewards_pg = torch.full((1, 7), 0.1)
    assert group_advantages(rewards_pg, "group_mean", "group_std").tolist() == [[0.0] * 7]


def test_without_baseline_and_normalisation_the_reward_is_the_advantage():
    rewards_pg = torch.tensor([[2.0], [-1.0]])
    assert group_advantages(rewards_pg, "none", "none").tolist() == [[2.0], [-1.0]]


def test_token_weights_sum_to_one_over_an_update():
    mask_bt = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0]])
    torch.testing.assert_close(
        token_weights(mask_bt, "token_mean", 2, 5), torch.tensor([[0.2, 0.2, 0.2, 0.2], [0.2, 0.0, 0.0, 0.0]])
    )
    torch.testing.assert_close(
        token_weights(mask_bt, "sequence_mean", 2, 5),
        torch.tensor([[0.125, 0.125, 0.125, 0.125], [0.5, 0.0, 0.0, 0.0]]),
    )


def test_policy_loss_by_hand():
    # Ratios 1.5, 0.5 and 1.0; advantages +1, +1, -2; every token weighs 1/4, the last position is padding.
    logprobs_bt = torch.tensor([[math.log(1.5), math.log(0.5)], [0.0, 0.0]], requires_grad=True)
    weights_bt = torch.tensor([[0.25, 0.25], [0.25, 0.0]])
    advantages_b = torch.tensor([1.0, -2.0])
    loss, statistics = policy_loss(logprobs_bt, torch.zeros(2, 2), advantages_b, weights_bt, 0.2, 0.2)
    # min(1.5, 1.2)·1 = 1.2; min(0.5, 0.8)·1 = 0.5; -2.
    assert loss.item() == pytest.approx(-(1.2 + 0.5 - 2.0) / 4)
    assert statistics["clip_fraction_high"].item() == pytest.approx(0.25)
    assert statistics["clip_fraction_low"].item() == 0.0
    loss.backward()
    # The clipped token has no gradient; elsewhere it is -weight · advantage · ratio.
    torch.testing.assert_close(logprobs_bt.grad, torch.tensor([[0.0, -0.125], [0.5, 0.0]]))


def test_null_bounds_do_not_clip():
    logprobs_bt = torch.tensor([[math.log(5.0)]], requires_grad=True)
    ones = torch.ones(1, 1)
    loss, statistics = policy_loss(logprobs_bt, torch.zeros(1, 1), torch.ones(1), ones, None, None)
    assert loss.item() == pytest.approx(-5.0)
    assert statistics["clip_fraction_high"].item() == 0.0


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.2), (0.1, 0.3), (None, None)])
def test_loss_gradient_equals_autograd_of_the_formula_in_float64(low, high):
    rng = torch.Generator().manual_seed(0)
    new = torch.randn(3, 5, generator=rng, dtype=torch.float64, requires_grad=True)
    old = torch.randn(3, 5, generator=rng, dtype=torch.float64)
    advantages = torch.randn(3, generator=rng, dtype=torch.float64)
    weights = torch.rand(3, 5, generator=rng, dtype=torch.float64)
    loss, _ = policy_loss(new, old, advantages, weights, low, high)
    (got,) = torch.autograd.grad(loss, new)
    total = torch.zeros((), dtype=torch.float64)
    for b in range(3):
        for t in range(5):
            ratio = torch.exp(new[b, t] - old[b, t])
            bounded = torch.clip(ratio, 1 - low if low else 0, 1 + high if high else math.inf)
            total = total - weights[b, t] * torch.minimum(ratio * advantages[b], bounded * advantages[b])
    (expected,) = torch.autograd.grad(total, new)
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=1e-12)


def test_tokens_are_drawn_by_the_inverse_distribution_function():
    logits_bv = torch.tensor([[0.1, 0.2, 0.7]]).log().repeat(5, 1)
    draws_b = torch.tensor([0.05, 0.15, 0.29, 0.31, 0.9999999], dtype=torch.float64)
    token_b, logprob_b = draw_tokens(logits_bv, draws_b, 1.0)
    assert token_b.tolist() == [0, 1, 1, 2, 2]
    torch.testing.assert_close(logprob_b.exp(), torch.tensor([0.1, 0.2, 0.2, 0.7, 0.7]))
    assert draw_tokens(logits_bv, draws_b, 0.0)[0].tolist() == [2] * 5


def test_a_token_without_probability_is_never_drawn():
    logits_bv = torch.tensor([[-math.inf, 0.0, -math.inf]])
    for draw in (0.0, 0.5, 1 - 2**-53):
        assert draw_tokens(logits_bv, torch.tensor([draw], dtype=torch.float64), 1.0)[0].item() == 1


def test_draws_depend_on_their_key_alone():
    first = generator(0, "rollout", 3, 1).random(4)
    generator(0, "rollout", 3, 2).random(100)
    assert (generator(0, "rollout", 3, 1).random(4) == first).all()
    assert (generator(1, "rollout", 3, 1).random(4) != first).all()


def test_t_interval_of_three_values():
    # mean 2, standard deviation 1, t(0.975, 2) = 4.302653: half width 4.302653 / sqrt(3).
    low, high = t_interval([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-5)
    assert t_interval([1.0]) is None
