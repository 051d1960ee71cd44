"""One hash of weights: the same in memory and in files, however these are written, and another for other weights."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.random_models import tiny
from sweep.errors import UserError
from sweep.evaluate.weights import model_hash
from sweep.run.weights import NamedTensor, directory_hash, weights_hash


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("family", ["qwen2", "llama", "olmo2"])
def test_memory_and_files_agree_however_the_files_are_cut(family, tied, dtype, tmp_path):
    model = tiny(family, tie_word_embeddings=tied).to(dtype)
    expected = model_hash(model)
    for size in ("1MB", "20KB"):
        model.save_pretrained(tmp_path / size, max_shard_size=size)
        assert directory_hash(tmp_path / size) == expected
    assert len(list((tmp_path / "20KB").glob("*.safetensors"))) > 1
    saved = load_file(tmp_path / "1MB" / "model.safetensors")
    assert ("lm_head.weight" in saved) is not tied
    reloaded = type(model).from_pretrained(tmp_path / "20KB", dtype=dtype)
    assert model_hash(reloaded) == expected


def test_tied_weights_count_once_whether_they_are_saved_once_or_twice(tmp_path):
    model = tiny("qwen2", tie_word_embeddings=True)
    twice = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert "lm_head.weight" in twice
    (tmp_path / "twice").mkdir()
    save_file(twice, tmp_path / "twice" / "model.safetensors")
    assert directory_hash(tmp_path / "twice") == model_hash(model)
    twice["lm_head.weight"][0, 0] += 1
    save_file(twice, tmp_path / "twice" / "model.safetensors")
    assert directory_hash(tmp_path / "twice") != model_hash(model)


def changed_bit(tensors):
    tensors["b"].view(torch.int32)[1, 2] ^= 1


def swapped(tensors):
    tensors["a"], tensors["b"] = tensors["b"], tensors["a"]


def reshaped(tensors):
    tensors["a"] = tensors["a"].reshape(3, 2)


def renamed(tensors):
    tensors["c"] = tensors.pop("b")


def retyped(tensors):
    tensors["a"] = tensors["a"].view(torch.int32)


def one_less(tensors):
    del tensors["b"]


def as_model(tensors) -> torch.nn.Module:
    model = torch.nn.Module()
    for name, tensor in tensors.items():
        model.register_buffer(name, tensor)
    return model


@pytest.mark.parametrize("change", [changed_bit, swapped, reshaped, renamed, retyped, one_less])
def test_every_change_changes_the_hash(change):
    def tensors():
        return {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, 3), "scalar": torch.tensor(2.0)}

    other = tensors()
    change(other)
    assert model_hash(as_model(other)) != model_hash(as_model(tensors()))


def test_the_order_of_tensors_and_strides_do_not_count(tmp_path):
    tensors = {"b": torch.arange(6.0).reshape(2, 3).T, "a": torch.empty(0, 3), "c": torch.tensor(1)}
    contiguous = {name: tensor.contiguous() for name, tensor in sorted(tensors.items())}
    assert model_hash(as_model(tensors)) == model_hash(as_model(contiguous))
    save_file(contiguous, tmp_path / "model.safetensors")
    assert directory_hash(tmp_path) == model_hash(as_model(tensors))


def test_tensors_without_a_hash_are_refused():
    with pytest.raises(ValueError, match=r"w: weights of type torch\.complex64"):
        model_hash(as_model({"w": torch.zeros(2, dtype=torch.complex64)}))
    with pytest.raises(ValueError, match="two tensors are named a"):
        weights_hash([NamedTensor("a", "F32", (1,), [b"0000"])] * 2)
    with pytest.raises(ValueError, match="without tensors"):
        weights_hash([])


def header(entries: dict) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


TWO_BYTES = {"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no model.safetensors"),
        ({"adapter_model.safetensors": b""}, "holds adapters alone"),
        ({"model.safetensors": b""}, "no whole safetensors file"),
        ({"model.safetensors": b"\xff" * 64}, "no whole safetensors file"),
        ({"model.safetensors": header({})}, "no whole safetensors file"),
        ({"model.safetensors": header({"a": 1})}, "no whole safetensors file"),
        ({"model.safetensors": header({"a": {"data_offsets": [0, 0]}})}, "no whole safetensors file"),
        ({"model.safetensors": header(TWO_BYTES) + b"x"}, "no whole safetensors file"),
        ({"model.safetensors.index.json": b"{}"}, "does not list the files"),
        ({"model.safetensors.index.json": b'{"weight_map": {"a": "one.safetensors"}}'}, "one.safetensors is missing"),
        (
            {
                "model.safetensors.index.json": b'{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}',
                **dict.fromkeys(("1.safetensors", "2.safetensors"), header(TWO_BYTES) + b"xx"),
            },
            "two tensors are named a",
        ),
    ],
)
def test_a_directory_without_a_whole_model_is_refused(files, message, tmp_path):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        directory_hash(tmp_path)
