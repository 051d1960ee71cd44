"""Measure the memory that this process holds, and its peak: of its GPU, or of the machine if it has none."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

import psutil
import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def memory_in_use() -> int:
    """Return the bytes that this process holds now."""
    if torch.cuda.is_available():
        return torch.cuda.memory_reserved()
    return psutil.Process().memory_info().rss


def reset_peak_memory() -> None:
    """Forget the peak so far. Without a GPU this works on Linux only, and does nothing elsewhere."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    else:
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5")


def peak_memory() -> int | None:
    """Return the most bytes that this process held since the last reset; None if the system does not tell."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    if not _CLEAR.exists():
        return None
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def release_free_memory() -> None:
    """Give freed memory of the host back to the system.

    The C library keeps what a backward pass freed. Without this call the memory of the optimiser step would add to it.
    """
    with contextlib.suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
