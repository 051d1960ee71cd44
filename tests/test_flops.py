"""Model FLOPs, worked out by hand."""

from __future__ import annotations

import pytest

from helpers.presets import algorithm
from models.config import Architecture
from sweep.config.devices import peak_tflops
from sweep.config.flops import forward_flops, update_flops

SHAPE = Architecture(
    parameters=1, num_hidden_layers=2, hidden_size=8, intermediate_size=16, num_attention_heads=2,
    num_key_value_heads=1, head_dim=4, vocab_size=10, tie_word_embeddings=True,
)  # fmt: skip


def test_forward_flops_by_hand():
    # 3 + 2 tokens. A layer's weights: queries and output 2·8·8, keys and values 2·8·4, MLP 3·8·16: 576.
    # Attention: 5·6/2 = 15 pairs, 2 products of 2 heads of 4: 2·2·8·15 = 480. The head: 2 responses of 8·10 weights.
    assert forward_flops(SHAPE, 3, 2) == 2 * (2 * 5 * 576 + 480) + 2 * 8 * 10 * 2


@pytest.mark.parametrize(
    ("changes", "updates", "adapters", "passes"),
    [
        ({}, 1, False, 3),  # forward, and twice that backward; the first update gives its own old log-probs
        ({}, 4, False, 3.75),
        ({"on_policy": True}, 4, False, 3),
        ({"old_logprobs": "sampler"}, 4, False, 3),
        ({}, 1, True, 2),  # frozen weights have no gradients
        ({"kl_coefficient": 0.1}, 1, False, 4),
        ({"kl_coefficient": 0.1, "kl_place": "reward"}, 1, False, 5),
        ({}, 0, False, 0),
    ],
)
def test_an_update_counts_the_passes_that_the_algorithm_asks_for(changes, updates, adapters, passes):
    found = update_flops(SHAPE, [(3, 2), (1, 1)], algorithm(**changes), updates, adapters)
    assert found == passes * (forward_flops(SHAPE, 3, 2) + forward_flops(SHAPE, 1, 1))


def test_a_large_model_takes_about_six_flops_a_weight_and_token():
    from sweep.plan.compose import compose_cells

    shape = compose_cells(["model=qwen2_5_7b"])[0].config.model.architecture
    without_embeddings = shape.parameters - 2 * shape.vocab_size * shape.hidden_size
    trained = update_flops(shape, [(1, 1)], algorithm(), 1, adapters=False)
    assert trained == pytest.approx(6 * (2 * without_embeddings + shape.vocab_size * shape.hidden_size), rel=1e-3)


def test_peaks_are_of_known_devices_in_bfloat16():
    assert peak_tflops("NVIDIA H100 80GB HBM3", "bfloat16") == 989
    assert peak_tflops("NVIDIA H100 PCIe", "bfloat16") == 756
    assert peak_tflops("NVIDIA A100-SXM4-80GB", "bfloat16") == 312
    assert peak_tflops("NVIDIA L40S", "bfloat16") == 362
    assert peak_tflops("NVIDIA A100-SXM4-80GB", "float32") is None
    assert peak_tflops("NVIDIA RTX A4000", "bfloat16") is None
    assert peak_tflops(None, "bfloat16") is None
