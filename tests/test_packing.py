"""Micro-batches: packed as if each sequence were alone, dealt out evenly, and never all logits at once."""

from __future__ import annotations

import json
import random

import pytest
import torch
from torch import nn

from helpers.random_models import tiny
from models import bfloat16
from models.attention import prepare
from sweep.config.rules import cell_faults
from sweep.grpo import logprobs as module
from sweep.grpo.deal import deal, pad
from sweep.grpo.logprobs import LogprobHead, Policy, pack_sequences
from sweep.plan.compose import compose_cells

CPU = torch.device("cpu")


def sequences(count: int, seed: int = 0) -> tuple[list[list[int]], list[list[int]]]:
    rng = random.Random(seed)

    def ids(most: int) -> list[int]:
        return [rng.randrange(3, 600) for _ in range(rng.randint(1, most))]

    return [ids(9) for _ in range(count)], [ids(20) for _ in range(count)]


def alone(model, prompts, responses, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probs and entropies of each sequence by itself, one after another."""
    logprobs, entropies = [], []
    for prompt, response in zip(prompts, responses, strict=True):
        logits_tv = model(torch.tensor([[*prompt, *response]])).logits[0, len(prompt) - 1 : -1].float() / temperature
        logprobs_tv = logits_tv.log_softmax(-1)
        logprobs.append(logprobs_tv.gather(1, torch.tensor(response)[:, None])[:, 0])
        entropies.append(-(logprobs_tv.exp() * logprobs_tv).sum(-1))
    return torch.cat(logprobs), torch.cat(entropies)


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).detach().norm() / b.detach().norm())


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", ["llama", "qwen2", "olmo2"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_packed_equals_each_sequence_alone(family, tied, checkpointing, monkeypatch):
    monkeypatch.setitem(module.CHUNK_LOGITS, "cpu", 600 * 5)  # five positions a chunk
    plain, packed = (tiny(family, tie_word_embeddings=tied) for _ in range(2))
    if checkpointing:
        packed.gradient_checkpointing_enable({"use_reentrant": False})
        packed.train()
    prompts, responses = sequences(7)
    weights = torch.randn(2, sum(map(len, responses)))  # of log-probs and of entropies
    expected = alone(plain, prompts, responses, 0.7)
    sum((x * w).sum() for x, w in zip(expected, weights, strict=True)).backward()
    batch = pack_sequences(prompts, responses, CPU)
    got = [x[batch.mask_bt] for x in Policy(packed, entropy_gradient=True)(batch, 0.7)]
    sum((x * w).sum() for x, w in zip(got, weights, strict=True)).backward()
    for a, b in zip(got, expected, strict=True):
        assert relative(a, b) < 1e-5
    for (name, a), b in zip(packed.named_parameters(), plain.parameters(), strict=True):
        assert relative(a.grad, b.grad) < 1e-5, name


def test_padding_is_0_and_rows_are_responses():
    batch = pack_sequences([[5, 6], [7]], [[8], [9, 10, 11]], CPU)
    assert batch.tokens_s.tolist() == [5, 6, 8, 7, 9, 10, 11]
    assert batch.predicting_n.tolist() == [1, 3, 4, 5]
    assert batch.mask_bt.tolist() == [[True, False, False], [True, True, True]]
    for values_bt in Policy(tiny())(batch, 1.0):
        assert values_bt[0, 1:].tolist() == [0, 0] and (values_bt[batch.mask_bt] != 0).all()


def test_a_frozen_head_gets_no_gradient():
    model = tiny(tie_word_embeddings=False)
    policy = Policy(model)
    model.lm_head.weight.requires_grad_(False)
    batch = pack_sequences([[5, 6]], [[8, 9]], CPU)
    policy(batch, 1.0)[0].sum().backward()
    assert model.lm_head.weight.grad is None and model.model.embed_tokens.weight.grad.any()


def test_no_more_than_a_chunk_of_logits_exists():
    vocabulary, tokens = 152_064, 700
    head = LogprobHead(4, vocabulary, bias=False)
    hidden_nd = torch.randn(tokens, 4, requires_grad=True)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            out = function(*args, **(kwargs or {}))
            found = out if isinstance(out, tuple | list) else (out,)
            largest = max([largest, *(t.numel() for t in found if isinstance(t, torch.Tensor))])
            return out

    with Watch():
        head(hidden_nd, torch.arange(tokens), 1.0)[0].sum().backward()
    assert vocabulary < largest <= module.CHUNK_LOGITS["cpu"] < tokens * vocabulary


def test_products_through_float32_are_bfloat16s_own(monkeypatch):
    torch.manual_seed(0)
    layers = [nn.Linear(96, 64).to(torch.bfloat16) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    x = torch.randn(2, 5, 96).to(torch.bfloat16)
    seen = []
    for layer, through in zip(layers, (False, True), strict=True):
        bfloat16.speed_up_products(layer)
        monkeypatch.setattr(bfloat16, "through_float32", lambda _tensor, through=through: through)
        inputs = x.clone().requires_grad_()
        out = layer(inputs)
        out.square().sum().backward()
        seen.append([out, inputs.grad, layer.weight.grad, layer.bias.grad])
    for a, b in zip(*seen, strict=True):
        assert a.dtype == b.dtype == torch.bfloat16
        assert relative(a.float(), b.float()) < 2**-7


def test_a_prepared_model_keeps_its_weights_names():
    model = tiny()
    names = list(model.state_dict())
    prepare(model)
    assert list(model.state_dict()) == names


# Dealing


def spread(lengths: list[int], budget: int, world_size: int) -> list[list[list[int]]]:
    return [deal(lengths, budget, rank, world_size) for rank in range(world_size)]


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_micro_batches_hold_everything_once_within_the_budget_and_evenly(world_size):
    rng = random.Random(0)
    lengths = [20 + min(256, 1 + int(rng.expovariate(1 / 50))) for _ in range(96)]
    dealt = spread(lengths, 1024, world_size)
    assert sorted(i for share in dealt for indices in share for i in indices) == list(range(96))
    assert len({len(share) for share in dealt}) == 1
    loads = [sum(lengths[i] for i in indices) for share in dealt for indices in share]
    assert max(loads) <= 1024
    assert max(loads) - min(loads) < max(lengths)
    tokens = [sum(lengths[i] for indices in share for i in indices) for share in dealt]
    assert max(tokens) < 1.02 * min(tokens)


def test_a_sequence_over_the_budget_goes_alone_and_none_is_left_out():
    assert spread([500, 3, 3, 3], 100, 1) == [[[0], [1], [2], [3]]]
    assert spread([5, 900], 100, 2) == [[[1]], [[0]]]


def test_where_there_are_more_processes_than_sequences_some_repeat_the_first():
    assert pad("ab", 4) == [("a", True), ("b", True), ("a", False), ("a", False)]
    assert pad("abc", 2) == [("a", True), ("b", True), ("c", True)]


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"sliding_window": 79, "num_hidden_layers": 2}, True),  # Mistral
        ({"sliding_window": 80, "num_hidden_layers": 2}, False),  # no sequence is longer (32 + 48 tokens)
        ({"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 79}, True),  # OLMo 3
        ({"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 4096}, False),
        ({"use_sliding_window": False, "sliding_window": 79, "num_hidden_layers": 2}, False),  # Qwen2.5
        ({"use_sliding_window": True, "sliding_window": 4, "num_hidden_layers": 2, "max_window_layers": 2}, False),
        ({"use_sliding_window": True, "sliding_window": 4, "num_hidden_layers": 3, "max_window_layers": 2}, True),
        ({"num_hidden_layers": 2, "final_logit_softcapping": 30.0}, True),  # Gemma 2
        ({"num_hidden_layers": 2, "final_logit_softcapping": None}, False),
    ],
)
def test_what_is_not_computed_is_refused_before_a_launch(tmp_path, settings, refused):
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (cell,) = compose_cells(["model=smollm2_135m", f"model.path={tmp_path}", "data=mini_arithmetic"])
    assert any("model.path=" in fault for fault in cell_faults(cell.config)) == refused
