"""What memory this process holds, and what it held at most: of its GPU, or of the machine where it has none."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

import psutil
import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def memory_in_use() -> int:
    """Bytes this process holds now."""
    if torch.cuda.is_available():
        return torch.cuda.memory_reserved()
    return psutil.Process().memory_info().rss


def reset_peak_memory() -> None:
    """Start to look for a new peak; outside Linux the machine's memory has none to reset."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    else:
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5")


def peak_memory() -> int | None:
    """Bytes this process held at most since the last reset; None where the system does not say."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    if not _CLEAR.exists():
        return None
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def release_free_memory() -> None:
    """Give the host memory that was freed back to the system.

    The C library keeps what a backward pass freed; without this the optimiser step would come on top of it.
    """
    with contextlib.suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
