"""The identity of the weights of a loaded model."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from sweep.run.weights import NamedTensor, weights_hash

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}  # as safetensors calls them


def model_hash(model: torch.nn.Module) -> str:
    """Return the hash of a model's weights: what `sweep.run.weights.directory_hash` returns for the saved model.

    The tensors of a model on a GPU are copied to the host one at a time. Under ZeRO-3 they must be gathered. With
    adapters, the weights of the model and those of its adapters count.

    Raises:
        ValueError: a tensor has a type that `DTYPES` lacks.
    """
    return weights_hash(_named_tensors(model))


def _named_tensors(model: torch.nn.Module) -> Iterator[NamedTensor]:
    for name, tensor in model.state_dict().items():
        if tensor.dtype not in DTYPES:
            raise ValueError(f"{name}: weights of type {tensor.dtype} have no hash")
        yield NamedTensor(name, DTYPES[tensor.dtype], tuple(tensor.shape), _bytes_of(tensor))


def _bytes_of(tensor: torch.Tensor) -> Iterator[memoryview]:
    """Yield the bytes of a tensor; it is copied to the host when they are asked for."""
    host = tensor.detach().to("cpu").contiguous().reshape(-1)
    if host.numel():
        yield memoryview(host.view(torch.uint8).numpy())
