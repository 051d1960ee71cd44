"""Call a library that may raise any exception or hang."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


class CallFailed(Exception):
    """The call raised an exception, which is the `__cause__`, or did not return in time.

    remedy: what to do about it, if the cause does not show it.
    """

    def __init__(self, words: str, remedy: str = "") -> None:
        super().__init__(words)
        self.remedy = remedy


def within(seconds: float, call: Callable[[], Value]) -> Value:
    """Return the result of `call`. It runs in a thread of its own, so that signals still reach the calling thread.

    Raises:
        CallFailed: it raised any exception, `SystemExit` included, or took longer than `seconds`; its thread is then
            left running.
    """
    returned: list[Value] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            returned.append(call())
        except BaseException as error:  # no exception in this thread may end the process
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
