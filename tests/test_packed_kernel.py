"""torch's kernel for packed sequences, which only GPUs have: what its versions take, and that it is called rightly."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from models.attention import attend_packed, takes_packed


def in_torch_2_10(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, is_causal=False, return_aux=None):
    raise AssertionError("it takes neither a scale nor a window")


def in_torch_2_11(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale=None, window_size=(-1, -1)):
    assert window_size == (-1, 0)
    assert cu_seq_q.dtype == torch.int32 and max_q == max_k == int(cu_seq_q.diff().max())
    found = []
    for start, end in zip(cu_seq_q[:-1], cu_seq_k[1:], strict=True):
        parts = (t[start:end].transpose(0, 1) for t in (query, key, value))
        out = F.scaled_dot_product_attention(*parts, is_causal=True, scale=scale, enable_gqa=True)
        found.append(out.transpose(0, 1))
    return torch.cat(found)


def in_torch_2_13(query, key, value, *bounds, scale=None, window_size=(-1, -1), enable_gqa=False):
    assert enable_gqa or query.shape == key.shape
    return in_torch_2_11(query, key, value, *bounds, scale=scale, window_size=window_size)


@pytest.mark.parametrize("kernel, known", [(None, 0), (in_torch_2_10, 0), (in_torch_2_11, 1), (in_torch_2_13, 1)])
def test_a_kernel_without_scale_and_window_is_not_used(kernel, known):
    assert takes_packed(kernel) is bool(known)


@pytest.mark.parametrize("kernel", [in_torch_2_11, in_torch_2_13])
@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_heads_that_share_keys_attend_as_if_each_had_its_own(kernel, key_heads):
    torch.manual_seed(0)
    lengths, scale = [3, 1, 5], 0.3
    query, (key, value) = torch.randn(9, 4, 8), torch.randn(2, 9, key_heads, 8)
    bounds = torch.tensor([0, 3, 4, 9], dtype=torch.int32)
    got = attend_packed(kernel, query, key, value, bounds, max(lengths), scale)
    for head in range(4):
        shared, start = head * key_heads // 4, 0
        for length in lengths:
            of = slice(start, start + length)
            scores = scale * query[of, head] @ key[of, shared].T
            hidden = torch.ones(length, length).triu(1).bool()
            expected = scores.masked_fill(hidden, -torch.inf).softmax(-1) @ value[of, shared]
            assert torch.allclose(got[of, head], expected, atol=1e-5)
            start += length
