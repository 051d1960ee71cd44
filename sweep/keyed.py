"""Random generators that depend only on a key. No draw depends on earlier draws or on the process that makes it.

Resuming, logging and another number of processes therefore do not change any draw.
"""

from __future__ import annotations

import hashlib

import numpy as np

Key = tuple[int | str, ...]


def generator(*key: int | str) -> np.random.Generator:
    """Return a Philox generator whose stream is a pure function of `key`."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def torch_seed(*key: int | str) -> int:
    """Return a seed for torch's own generators, as a pure function of `key`."""
    return int(generator(*key).integers(2**62))
