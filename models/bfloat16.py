"""Matrix products in bfloat16 on a CPU without instructions for them.

On such a CPU torch multiplies bfloat16 matrices an order of magnitude slower than fp32 ones. Products through fp32 give
the same numbers: bfloat16 values are exact in fp32, every implementation accumulates in fp32, and the result is rounded
once.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import nn
from torch.nn import functional as F


@cache
def _cpu_multiplies_bfloat16() -> bool:
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def through_float32(tensor: torch.Tensor) -> bool:
    """Return True if products with `tensor` are faster in fp32."""
    return tensor.dtype == torch.bfloat16 and tensor.device.type == "cpu" and not _cpu_multiplies_bfloat16()


def matmul(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return `a @ b`, rounded to the dtype of `a`; `b` may be fp32."""
    return (a.float() @ b.float()).to(a.dtype) if through_float32(a) else a @ b


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return F.linear(x.float(), weight.float(), None if bias is None else bias.float()).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        grad_nk, x_nd = grad.float().flatten(0, -2), x.flatten(0, -2)
        grad_x = (grad_nk @ weight.float()).to(x.dtype).view(x.shape) if ctx.needs_input_grad[0] else None
        grad_weight = (grad_nk.T @ x_nd.float()).to(weight.dtype) if ctx.needs_input_grad[1] else None
        grad_bias = grad_nk.sum(0).to(weight.dtype) if ctx.needs_input_grad[2] else None
        return grad_x, grad_weight, grad_bias


class Linear(nn.Linear):
    """An `nn.Linear` whose products go through fp32 where that is faster."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer's output, in the dtype of `x`."""
        if not through_float32(x):
            return super().forward(x)
        return _Linear.apply(x, self.weight, self.bias)


def speed_up_products(model: nn.Module) -> None:
    """Turn every linear layer of `model` into a `Linear`, in place."""
    for module in model.modules():
        if type(module) is nn.Linear:
            # Only `forward` differs, so the class is swapped: weights, hooks and references to the module stay.
            module.__class__ = Linear
