"""The loss, against numbers worked out by hand and against autograd of formulas written out in float64."""

from __future__ import annotations

import math

import pytest
import torch

from helpers.presets import PRESETS, algorithm
from sweep.config.algorithm import AlgorithmConfig
from sweep.grpo.loss import (
    LossInputs,
    clipped_surrogate,
    kl_estimate,
    level_log_ratio,
    policy_loss,
    ratio_denominator,
    response_weights,
    truncated_correction,
)


def test_weights_of_every_aggregation_by_hand():
    lengths = [4, 1, 1, 2, 2]
    assert response_weights(lengths, "sequence_mean", 8) == [1 / 20, 1 / 5, 1 / 5, 1 / 10, 1 / 10]
    assert response_weights(lengths, "token_mean", 8) == [1 / 10] * 5
    assert response_weights(lengths, "sequence_sum", 8) == [1 / 5] * 5
    assert response_weights(lengths, "fixed_length", 8) == [1 / 40] * 5
    # Responses 1–2 share 5 tokens, 3–4 share 3, the last has 2; three means of which the mean is taken.
    assert response_weights(lengths, "micro_batch_mean", 8, 2) == [1 / 15, 1 / 15, 1 / 9, 1 / 9, 1 / 6]


@pytest.mark.parametrize("aggregation", ["sequence_mean", "token_mean", "micro_batch_mean"])
def test_means_weigh_the_tokens_of_an_update_to_one(aggregation):
    lengths = [3, 9, 1, 7, 5]
    weights = response_weights(lengths, aggregation, 16, 2)
    assert sum(n * w for n, w in zip(lengths, weights, strict=True)) == pytest.approx(1.0)


def inputs(logprobs_bt: torch.Tensor, lengths: list[int], advantages: list[float], **changes) -> LossInputs:
    """A micro-batch that is a whole update of `lengths`, by default with old, sampler and reference log-probs of 0."""
    mask_bt = (torch.arange(logprobs_bt.shape[1])[None] < torch.tensor(lengths)[:, None]).to(logprobs_bt.dtype)
    zeros_bt = torch.zeros_like(logprobs_bt)
    fields = {
        "trainer_logprobs_bt": logprobs_bt,
        "entropy_bt": zeros_bt,
        "denominator_logprobs_bt": zeros_bt,
        "sampler_logprobs_bt": zeros_bt,
        "old_trainer_logprobs_bt": zeros_bt,
        "reference_logprobs_bt": None,
        "advantages_b": torch.tensor(advantages, dtype=logprobs_bt.dtype),
        "mask_bt": mask_bt,
        "weights_bt": mask_bt / mask_bt.sum(),
        "shares_bt": mask_bt / mask_bt.sum(),
    }
    return LossInputs(**fields | changes)


def test_policy_loss_by_hand():
    # Ratios 1.5, 0.5 and 1.0; advantages +1, +1, -2; every token weighs 1/4, the last position is padding.
    logprobs_bt = torch.tensor([[math.log(1.5), math.log(0.5)], [0.0, 0.0]], requires_grad=True)
    weights_bt = torch.tensor([[0.25, 0.25], [0.25, 0.0]])
    loss, statistics = policy_loss(
        inputs(logprobs_bt, [2, 1], [1.0, -2.0], weights_bt=weights_bt, shares_bt=weights_bt), algorithm("grpo")
    )
    # min(1.5, 1.2)·1 = 1.2; min(0.5, 0.8)·1 = 0.5; -2.
    assert loss.item() == pytest.approx(-(1.2 + 0.5 - 2.0) / 4)
    means = {name: value.item() for name, value in statistics.means.items()}
    assert means["clip_fraction_high"] == means["clip_fraction_region"] == pytest.approx(0.25)
    assert means["clip_fraction_low"] == 0.0
    assert means["ratio"] == pytest.approx(0.75)
    # k3: ratio - 1 - log ratio.
    assert means["policy_kl"] == pytest.approx((1.5 - 1 - math.log(1.5) + 0.5 - 1 - math.log(0.5)) / 4)
    assert means["sampler_difference"] == 0.0
    assert statistics.minima["ratio_min"].item() == pytest.approx(0.5)
    assert statistics.maxima["ratio_max"].item() == pytest.approx(1.5)
    loss.backward()
    # The clipped token has no gradient; elsewhere it is -weight · advantage · ratio.
    torch.testing.assert_close(logprobs_bt.grad, torch.tensor([[0.0, -0.125], [0.5, 0.0]]))


def test_the_lower_bound_cuts_where_the_advantage_is_negative():
    logprobs_bt = torch.tensor([[math.log(0.5), math.log(1.5)]], requires_grad=True)
    loss, statistics = policy_loss(inputs(logprobs_bt, [2], [-1.0]), algorithm("grpo"))
    # max(0.5, 0.8) and max(1.5, 1.2), as the advantage is -1.
    assert loss.item() == pytest.approx((0.8 + 1.5) / 2)
    assert statistics.means["clip_fraction_low"].item() == pytest.approx(0.5)
    assert statistics.means["clip_fraction_high"].item() == 0.0
    loss.backward()
    torch.testing.assert_close(logprobs_bt.grad, torch.tensor([[0.0, 0.75]]))


def test_null_bounds_do_not_clip():
    logprobs_bt = torch.tensor([[math.log(5.0)]], requires_grad=True)
    loss, statistics = policy_loss(inputs(logprobs_bt, [1], [1.0]), algorithm(clip_low=None, clip_high=None))
    assert loss.item() == pytest.approx(-5.0)
    assert statistics.means["clip_fraction_region"].item() == 0.0


def test_sequence_ratio_is_the_geometric_mean_over_real_tokens():
    log_ratio_bt = torch.tensor([[math.log(4.0), 0.0, 9.0], [1.0, 2.0, 3.0]])
    mask_bt = torch.tensor([[1, 1, 0], [1, 1, 1]])
    torch.testing.assert_close(
        level_log_ratio(log_ratio_bt, mask_bt, "sequence"), torch.tensor([[math.log(2.0)] * 3, [2.0] * 3])
    )


def test_kl_estimators_by_hand():
    logprobs_bt, reference_bt = torch.tensor([[math.log(0.5)]]), torch.tensor([[math.log(0.25)]])
    d = math.log(2.0)
    expected = {"k1": d, "k2": d * d / 2, "k3": 0.5 - 1 + d}
    for name, value in expected.items():
        assert kl_estimate(logprobs_bt, reference_bt, name).item() == pytest.approx(value)


def test_sampler_correction_is_capped_and_has_no_gradient():
    trainer_bt = torch.tensor([[math.log(0.5), math.log(0.9)]], requires_grad=True)
    correction_bt = truncated_correction(trainer_bt, torch.tensor([[math.log(0.25), math.log(0.1)]]), 2.5)
    torch.testing.assert_close(correction_bt, torch.tensor([[2.0, 2.5]]))
    assert not correction_bt.requires_grad


def test_the_papers_switch_takes_the_probability_for_the_ratio():
    logprobs_bt = torch.tensor([[math.log(0.25), math.log(0.5)]], requires_grad=True)
    chosen = algorithm("paper", ratio="probability", clip_low=None, clip_high=None)
    loss, statistics = policy_loss(
        inputs(logprobs_bt, [2], [2.0], denominator_logprobs_bt=logprobs_bt.detach()), chosen
    )
    assert loss.item() == pytest.approx(-2.0 * (0.25 + 0.5) / 2)
    loss.backward()
    torch.testing.assert_close(logprobs_bt.grad, torch.tensor([[-0.25, -0.5]]))
    assert statistics.means["ratio"].item() == pytest.approx(1.0)  # the importance ratio, to compare with other runs


def test_the_difference_to_the_sampler_is_of_the_policy_that_sampled():
    zeros_bt = torch.zeros(1, 3)
    found = policy_loss(
        inputs(zeros_bt - 5.0, [2], [1.0], sampler_logprobs_bt=torch.tensor([[0.1, -0.3, 9.0]])), algorithm()
    )[1]
    assert found.means["sampler_difference"].item() == pytest.approx(0.2)
    assert found.maxima["sampler_difference_max"].item() == pytest.approx(0.3)
    unknown = policy_loss(inputs(zeros_bt, [2], [1.0], old_trainer_logprobs_bt=None), algorithm())[1]
    assert "sampler_difference" not in unknown.means


def test_the_denominator_is_the_trainers_the_samplers_or_the_policy_itself():
    trainer_bt, old_bt, sampler_bt = torch.zeros(1, 2, requires_grad=True), torch.ones(1, 2), torch.full((1, 2), 2.0)
    for changes, expected in (
        ({"old_logprobs": "trainer"}, 1.0),
        ({"old_logprobs": "sampler"}, 2.0),
        ({"on_policy": True, "clip_low": None, "clip_high": None}, 0.0),
    ):
        found_bt = ratio_denominator(algorithm(**changes), trainer_bt, old_bt, sampler_bt)
        assert found_bt.tolist() == [[expected] * 2] and not found_bt.requires_grad


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("sampler_logprobs_bt", torch.zeros(1, 3)),
        ("denominator_logprobs_bt", torch.zeros(2, 4)),
        ("reference_logprobs_bt", torch.zeros(3)),
        ("advantages_b", torch.zeros(1)),
        ("weights_bt", torch.zeros(2, 1)),
    ],
)
def test_a_tensor_whose_shape_is_not_what_its_name_says_is_refused(name, tensor):
    with pytest.raises(ValueError, match=rf"{name} has shape \({tensor.shape[0]},"):
        inputs(torch.zeros(2, 3), [3, 2], [1.0, -1.0], **{name: tensor})


def written_out(x: LossInputs, a: AlgorithmConfig) -> torch.Tensor:
    """The loss token by token, straight from the formulas of docs/algorithms.md."""
    total = torch.zeros((), dtype=torch.float64)
    for b in range(len(x.advantages_b)):
        tokens = int(x.mask_bt[b].sum())
        advantage = x.advantages_b[b]
        log_ratios = [x.trainer_logprobs_bt[b, t] - x.denominator_logprobs_bt[b, t] for t in range(tokens)]
        if a.on_policy:
            log_ratios = [x.trainer_logprobs_bt[b, t] - x.trainer_logprobs_bt[b, t].detach() for t in range(tokens)]
        for t in range(tokens):
            log_ratio = sum(log_ratios) / tokens if a.ratio_level == "sequence" else log_ratios[t]
            ratio = torch.exp(x.trainer_logprobs_bt[b, t] if a.ratio == "probability" else log_ratio)
            low = 1 - a.clip_low if a.clip_low is not None else 0.0
            high = 1 + a.clip_high if a.clip_high is not None else math.inf
            value = torch.minimum(ratio * advantage, torch.clip(ratio, low, high) * advantage)
            if a.tis_cap is not None:
                value = value * min(math.exp(x.denominator_logprobs_bt[b, t] - x.sampler_logprobs_bt[b, t]), a.tis_cap)
            if x.reference_logprobs_bt is not None:
                d = x.trainer_logprobs_bt[b, t] - x.reference_logprobs_bt[b, t]
                kl = {"k1": d, "k2": d * d / 2, "k3": torch.exp(-d) - 1 + d}[a.kl_estimator]
                value = value - a.kl_coefficient * kl
            value = value + a.entropy_coefficient * x.entropy_bt[b, t]
            total = total - x.weights_bt[b, t] * value
    return total


VARIANTS = [
    *((name, {}) for name in PRESETS),
    ("grpo", {"clip_low": None}),
    ("grpo", {"clip_high": None}),
    ("grpo", {"kl_coefficient": 0.3, "kl_estimator": "k1"}),
    ("grpo", {"kl_coefficient": 0.3, "kl_estimator": "k2"}),
    ("grpo", {"kl_coefficient": 0.3, "kl_estimator": "k3", "entropy_coefficient": 0.1}),
    ("gspo", {"kl_coefficient": 0.3, "tis_cap": 1.1, "clip_low": 0.3, "clip_high": 0.3}),
    ("dapo", {"tis_cap": 1.5}),
    ("paper", {"ratio": "probability", "clip_low": None, "clip_high": None}),
    ("grpo", {"on_policy": True, "clip_low": None, "clip_high": None}),
]


@pytest.mark.parametrize(("name", "changes"), VARIANTS, ids=[f"{n} {c}" for n, c in VARIANTS])
def test_loss_and_gradients_equal_autograd_of_the_formulas_in_float64(name, changes):
    rng = torch.Generator().manual_seed(0)
    chosen = algorithm(name, **changes)

    def draw() -> torch.Tensor:
        return -torch.rand(4, 6, generator=rng, dtype=torch.float64)

    lengths, advantages = [6, 1, 4, 3], torch.randn(4, generator=rng, dtype=torch.float64).tolist()
    mask_bt = (torch.arange(6)[None] < torch.tensor(lengths)[:, None]).double()
    logprobs_bt, entropy_bt = (draw() * mask_bt).requires_grad_(), draw().abs().requires_grad_()
    step = 1e-3 if chosen.clip_high == 4e-4 else 0.5  # some ratios within the bounds, some without
    weights = response_weights(lengths, chosen.aggregation, 8, chosen.aggregation_size)
    x = inputs(
        logprobs_bt,
        lengths,
        advantages,
        entropy_bt=entropy_bt,
        denominator_logprobs_bt=logprobs_bt.detach() + (0 if chosen.on_policy else step * draw() * mask_bt),
        sampler_logprobs_bt=draw() * mask_bt,
        reference_logprobs_bt=draw() * mask_bt if chosen.kl_coefficient else None,
        weights_bt=torch.tensor(weights, dtype=torch.float64)[:, None] * mask_bt,
    )
    loss, statistics = policy_loss(x, chosen)
    expected = written_out(x, chosen)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    got = torch.autograd.grad(loss, (logprobs_bt, entropy_bt), allow_unused=True, retain_graph=True)
    wanted = torch.autograd.grad(expected, (logprobs_bt, entropy_bt), allow_unused=True)
    torch.testing.assert_close(got[0], wanted[0], atol=1e-12, rtol=1e-12)
    assert got[0].abs().max() > 0 and (got[0] * (1 - mask_bt)).abs().max() == 0
    if chosen.entropy_coefficient:
        torch.testing.assert_close(got[1], wanted[1], atol=1e-12, rtol=1e-12)
    assert all(torch.isfinite(value) for value in statistics.means.values())


def test_clipping_needs_a_bound_to_cut():
    ratio_bt = torch.tensor([[0.1, 1.0, 10.0]])
    assert clipped_surrogate(ratio_bt, torch.ones(1, 1), None, 0.5).tolist() == [[pytest.approx(0.1), 1.0, 1.5]]
    assert clipped_surrogate(ratio_bt, -torch.ones(1, 1), 0.5, None).tolist() == [[-0.5, -1.0, -10.0]]
