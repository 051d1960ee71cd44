"""What stops a run whose rollouts cannot be what they are taken for, and what must not."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from helpers.random_models import SHAPE
from sweep.grpo import checks
from sweep.grpo.checks import RolloutFault, UnsupportedModel, check_agreement, check_diversity, check_forward
from sweep.keyed import generator
from sweep.rollout.sample import Finish, Sampled


def drawn(probabilities: list[float], length: int, *key) -> Sampled:
    """Independent tokens of the given distribution."""
    ids = generator(*key).choice(len(probabilities), size=length, p=probabilities).tolist()
    return Sampled([1], ids, [math.log(probabilities[i]) for i in ids], Finish.EOS, "")


def test_honest_draws_pass_however_small_the_vocabulary():
    certain, coin = [0.999, 0.001], [0.5, 0.5]
    check_diversity([[drawn(certain, 20, "a", g, s) for s in range(16)] for g in range(4)] + [[drawn(coin, 30, "b")]])
    for attempt in range(50):
        check_diversity([[drawn(coin, 3, attempt, g, s) for s in range(4)] for g in range(4)])
        check_diversity([[drawn(coin, 2, attempt, s) for s in range(2)]])


def test_a_seed_that_two_responses_share_is_found_in_a_single_group():
    fine = [[drawn([0.5, 0.5], 60, g, s) for s in range(8)] for g in range(3)]
    shared = [drawn([0.5, 0.5], 60, 3, s % 4) for s in range(8)]  # as if two processes had the same seed
    with pytest.raises(RolloutFault, match=r"group 3 are the same 60 tokens, of probability e\^-42.*seed"):
        check_diversity([*fine, shared])


def test_groups_without_any_difference_are_refused():
    short = [[drawn([0.5, 0.5], 3, g)] * 4 for g in range(4)]
    with pytest.raises(RolloutFault, match=r"every response repeats the first.*rollout\.temperature"):
        check_diversity(short)


def test_samplers_that_disagree_are_refused():
    check_agreement(0.01, 0.1)
    for difference in (0.2, math.nan):
        with pytest.raises(RolloutFault, match=r"disagree on log-probs by .*checks\.logprob_difference=0\.1"):
            check_agreement(difference, 0.1)


def random_model(model_type: str, **changes):
    config = AutoConfig.for_model(model_type, **SHAPE | {"head_dim": 8} | changes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).eval()
        for parameter in model.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize(
    ("model_type", "changes"),
    [
        ("llama", {}),
        ("qwen3", {}),
        ("mistral", {"sliding_window": 200}),
        ("olmo3", {"sliding_window": 200}),
        ("smollm3", {"no_rope_layers": [0, 1]}),
        ("gemma", {}),
    ],
)
def test_a_model_that_is_computed_as_its_own_code_does_passes(model_type, changes, monkeypatch):
    model = random_model(model_type, **changes)
    monkeypatch.setattr(checks, "FORWARD_DIFFERENCE", 1e-4)
    check_forward(model, range(3, 40))
    check_forward(model, [3])


@pytest.mark.parametrize(
    ("model_type", "changes"),
    [
        ("gemma2", {"attn_logit_softcapping": 0.5, "final_logit_softcapping": None, "query_pre_attn_scalar": 1}),
        ("gemma2", {"attn_logit_softcapping": None, "final_logit_softcapping": 1.0}),
        ("granite", {"logits_scaling": 4.0}),
        ("cohere", {"logit_scale": 0.0625}),
    ],
)
def test_a_model_that_scales_or_caps_is_refused(model_type, changes):
    with pytest.raises(UnsupportedModel, match=f"models of type {model_type} cannot be trained here"):
        check_forward(random_model(model_type, **changes), range(3, 40))
