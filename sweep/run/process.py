"""Identify processes by number and start time, because the system reuses numbers."""

from __future__ import annotations

import os

import psutil


def start_of(pid: int | None = None) -> float:
    """Return when a process (this one by default) started, in seconds since 1970."""
    return psutil.Process(pid).create_time()


def is_running(pid: int, started: float) -> bool:
    """Return True if the process with this number on this machine is the one that started at `started`."""
    try:
        return abs(start_of(pid) - started) < 1
    except psutil.NoSuchProcess:
        return False


def send(number: int, pid: int, started: float) -> bool:
    """Send the signal `number` to that process and no other. Return False if it is gone."""
    if not is_running(pid, started):
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:  # it ended after the check
        return False
    return True
