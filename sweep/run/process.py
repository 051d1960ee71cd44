"""Which process a number stands for: numbers are given out again, so a process is known by its start as well."""

from __future__ import annotations

import os

import psutil


def start_of(pid: int | None = None) -> float:
    """When a process (this one by default) started, in seconds since 1970."""
    return psutil.Process(pid).create_time()


def is_running(pid: int, started: float) -> bool:
    """Whether the process with this number on this machine is the one that started then."""
    try:
        return abs(start_of(pid) - started) < 1
    except psutil.NoSuchProcess:
        return False


def send(number: int, pid: int, started: float) -> bool:
    """Send the signal `number` to that process and no other; False where it is gone."""
    if not is_running(pid, started):
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:  # it ended between the look and the signal
        return False
    return True
