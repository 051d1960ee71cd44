"""The pure functions, against numbers worked out by hand."""

from __future__ import annotations

import math

import torch

from sweep.keyed import generator
from sweep.rollout.draw import draw_tokens


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
