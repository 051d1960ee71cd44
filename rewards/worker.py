"""A grading worker: reads batches of (answer, gold) from standard input and writes one verdict a line.

`guard` starts it. The input is not trusted: the kernel ends this process at the deadline and limits its memory.
`serve` does this for any kind of worker.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

from rewards.arithmetic import TooLarge
from rewards.equality import Comparison

READY = "ready"
WALL_FACTOR = 4  # elapsed time that an answer may take, in multiples of its processor time
RIGHT, WRONG, UNPARSED, EXCEEDED = "right", "wrong", "unparsed", "exceeded"
# Graded before the first answer, so that loading mpmath does not count against an answer's time.
_WARM_UP = ((r"\frac{1+\sqrt{5}}{2}x^{2}", r"x^{2}\cdot (\frac{1}{2}+\frac{\sqrt{5}}{2})"), (r"\cos 2\pi", "1"))


def main(deadline_s: float, memory_bytes: int, _settings: None) -> None:
    """Grade batches until standard input ends."""

    def warm() -> Callable[[tuple[str, str]], tuple[str, bool]]:
        """Return the function that grades (answer, gold)."""
        for answer, gold in _WARM_UP:
            _verdict(answer, gold)
        return lambda pair: _verdict(*pair)

    serve(deadline_s, memory_bytes, warm)


def serve(deadline_s: float, memory_bytes: int, prepare: Callable[[], Callable[[Any], Any]]) -> None:
    """Prepare, say that the process is ready, and answer each item of each batch until standard input ends.

    The kernel ends the process when an item has used `deadline_s` seconds of processor time, even in the middle of a
    computation that never returns to Python. Processor time is counted so that a busy machine does not fail an item;
    the parent also limits the elapsed time. If the parent dies, the pipe closes, which ends an idle worker; a busy one
    is ended by its own timers.

    Args:
        prepare: does what must not count against an item's time, and returns the function that answers an item.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a line that a library prints must not be read as a verdict
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # a job that must stop finishes grading its current step first
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    answer = prepare()
    print(READY, file=replies, flush=True)
    for line in sys.stdin:
        for item in json.loads(line):
            signal.setitimer(signal.ITIMER_PROF, deadline_s)
            signal.setitimer(signal.ITIMER_REAL, WALL_FACTOR * deadline_s + 1)
            found = answer(item)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            print(json.dumps(found), file=replies, flush=True)


def _verdict(answer: str, gold: str) -> tuple[str, bool]:
    """Return the outcome, and True if the gold answer has no symbolic form although one was looked for."""
    from rewards.numeric import NumericValues

    comparison = Comparison(NumericValues())
    try:
        equal = comparison.answers(answer, gold)
    except (MemoryError, TooLarge):
        return EXCEEDED, False
    except Exception:  # no answer may end a worker: a defect counts as "unparsed", never as "wrong"
        return UNPARSED, False
    if equal:
        return RIGHT, "gold" in comparison.unparsed
    return (UNPARSED if "answer" in comparison.unparsed else WRONG), "gold" in comparison.unparsed
