"""Calls of a library that may raise anything, or never return."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


class CallFailed(Exception):
    """The call raised something, which is the `__cause__`, or did not return in time.

    remedy: what to do about it, where that does not follow from the cause.
    """

    def __init__(self, words: str, remedy: str = "") -> None:
        super().__init__(words)
        self.remedy = remedy


def within(seconds: float, call: Callable[[], Value]) -> Value:
    """What `call` returns. It is made in a thread of its own, so that a signal still reaches this one.

    Raises:
        CallFailed: it raised anything at all, `SystemExit` included, or took longer; its thread is then left behind.
    """
    returned: list[Value] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            returned.append(call())
        except BaseException as error:  # whatever ends this thread must not end the process
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        lines = str(raised[0]).splitlines()
        words = f"{type(raised[0]).__name__}: {lines[0]}" if lines else type(raised[0]).__name__
        raise CallFailed(words) from raised[0]
    if not returned:
        raise CallFailed(f"no answer within {seconds:g} s")
    return returned[0]
