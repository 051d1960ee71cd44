"""The identity of weights: one hash of a model's tensors, the same in memory and in any safetensors files of them.

Each tensor has a digest of its name, type, shape and bytes; the hash is that of all digests in the order of names. So
it does not matter how the tensors are dealt out to files, or in which order they are read. An output head
(`lm_head.weight`) that equals another tensor is left out: tied to the embedding, it is in memory under both names and
in files under one; and where it was saved twice it computes the same. Types count: the same weights in bfloat16 are
other weights than in float32, because they answer differently.

Only XXH3 is computed, which is as fast as memory is read, and is no protection against someone who wants two sets of
weights to have one hash.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import xxhash

from sweep.errors import DamagedFile, UserError
from sweep.run.files import BLOCK_BYTES

HEAD = "lm_head.weight"
SINGLE, INDEX, ADAPTERS = "model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors"
LONGEST_HEADER = 100_000_000  # bytes; the format's own limit


@dataclass(frozen=True)
class NamedTensor:
    """A tensor of a model. `dtype` as safetensors calls it, for example "BF16". `blocks`: its bytes in order,
    little-endian, read once.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    blocks: Iterable[bytes | memoryview]


def weights_hash(tensors: Iterable[NamedTensor]) -> str:
    """Return the XXH3 hash (128 bits) of a model's tensors, given in any order, as 32 hex digits.

    Raises:
        ValueError: two tensors have one name, or there is none.
    """
    digests: dict[str, tuple[bytes, bytes]] = {}  # by name: of the content, and of name and content
    for tensor in tensors:
        if tensor.name in digests:
            raise ValueError(f"two tensors are named {tensor.name}")
        digests[tensor.name] = _digests(tensor)
    if not digests:
        raise ValueError("a model without tensors")
    contents = [content for content, _ in digests.values()]
    whole = xxhash.xxh3_128()
    for name, (content, named) in sorted(digests.items()):
        if not (name.endswith(HEAD) and contents.count(content) > 1):
            whole.update(named)
    return whole.hexdigest()


def _digests(tensor: NamedTensor) -> tuple[bytes, bytes]:
    content = xxhash.xxh3_128(f"{tensor.dtype} {tensor.shape}\0".encode())
    for block in tensor.blocks:
        content.update(block)
    found = content.digest()
    return found, xxhash.xxh3_128(tensor.name.encode() + b"\0" + found).digest()


def directory_hash(directory: Path) -> str:
    """Return the `weights_hash` of the model in a directory of safetensors, in the layout of transformers.

    A few megabytes are in memory at a time.

    Raises:
        UserError: the directory holds no whole model in safetensors; DamagedFile where a file is not whole.
    """
    try:
        return weights_hash(tensor for file in _weight_files(directory) for tensor in _tensors_in(file))
    except ValueError as error:
        raise error if isinstance(error, UserError) else UserError(f"{directory}: {error}") from None


def damage(directory: Path) -> str | None:
    """Return what is wrong with the weights in a directory, whole or adapters; None if all files have their sizes.

    Only the beginning of each file is read, so that a change of its numbers is not seen.
    """
    adapters = directory / ADAPTERS
    try:
        for file in [adapters] if adapters.exists() else _weight_files(directory):
            with open(file, "rb") as opened:
                _header(file, opened)
    except UserError as error:
        return str(error)
    return None


def _weight_files(directory: Path) -> list[Path]:
    index = directory / INDEX
    if index.exists():
        try:
            names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DamagedFile(f"{index}: does not list the files of a model; fetch or write the model again") from None
        if missing := [name for name in names if not (directory / name).exists()]:
            raise UserError(f"{directory}: {missing[0]} is missing, which {INDEX} lists; fetch or write it again")
        return [directory / name for name in names]
    if (directory / SINGLE).exists():
        return [directory / SINGLE]
    if (directory / ADAPTERS).exists():
        raise UserError(f"{directory}: holds adapters alone; their weights are known with those of their model loaded")
    raise UserError(f"{directory}: holds no {SINGLE}; name a directory that transformers' save_pretrained wrote")


def _tensors_in(file: Path) -> Iterator[NamedTensor]:
    """Yield the tensors of a file in the order of their bytes; each must be read before the next one is asked for."""
    with open(file, "rb") as opened:
        start, entries = _header(file, opened)
        for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
            begin, end = entry["data_offsets"]
            opened.seek(start + begin)
            yield NamedTensor(name, entry["dtype"], tuple(entry["shape"]), _blocks(file, opened, end - begin))


def _header(file: Path, opened: IO[bytes]) -> tuple[int, dict[str, dict]]:
    """Return where the bytes of tensors begin in a file, and its entries by the names of tensors."""
    length = int.from_bytes(opened.read(8), "little")
    try:
        entries = json.loads(opened.read(length)) if length <= LONGEST_HEADER else {}
        entries.pop("__metadata__", None)
        ends = [e["data_offsets"][1] for e in entries.values() if {"dtype", "shape"} <= e.keys()]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        ends = []
    start = 8 + length
    if not ends or len(ends) < len(entries) or file.stat().st_size != start + max(ends):
        raise DamagedFile(f"{file}: no whole safetensors file; fetch or write the model again")
    return start, entries


def _blocks(file: Path, opened: IO[bytes], size: int) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(min(BLOCK_BYTES, size)))
    while size:
        count = opened.readinto(buffer[: min(len(buffer), size)])  # type: ignore[attr-defined]
        if not count:
            raise DamagedFile(f"{file}: was cut short while it was read")
        size -= count
        yield buffer[:count]
