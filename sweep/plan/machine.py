"""Measure this machine: its GPUs, and how many processes of a sweep it runs at once."""

from __future__ import annotations

import os
import subprocess
from functools import cache

from sweep.config.cell import ClusterConfig


@cache
def gpu_memories() -> tuple[int, ...]:
    """Return the bytes of each GPU that a job may see, as nvidia-smi reports them; empty if there is none."""
    try:
        asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=30)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ()
    sizes = tuple(int(line) * 2**20 for line in done.stdout.splitlines() if line.strip().isdigit())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return sizes if visible is None else sizes[: len([v for v in visible.split(",") if v.strip()])]


def local_processes(cluster: ClusterConfig) -> int:
    """Return how many processes run at once here: `max_parallel` if set, else 1 with GPUs, or one for each core."""
    if cluster.max_parallel:
        return cluster.max_parallel
    if gpu_memories():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
