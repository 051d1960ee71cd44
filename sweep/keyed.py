"""Every random draw comes from a key, so no draw depends on what was drawn before it, or where.

Resuming, logging and another process count thereby leave each draw as it was.
"""

from __future__ import annotations

import hashlib

import numpy as np

Key = tuple[int | str, ...]


def generator(*key: int | str) -> np.random.Generator:
    """A Philox generator whose stream is a pure function of `key`."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def torch_seed(*key: int | str) -> int:
    """A seed for torch's own generators."""
    return int(generator(*key).integers(2**62))
