"""A grading worker: reads batches of (answer, gold) from standard input, writes a verdict a line. Started by `guard`.

Nothing here trusts its input: the kernel ends this process at the deadline and limits its memory.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys

from rewards.arithmetic import TooLarge
from rewards.equality import Comparison

READY = "ready"
WALL_FACTOR = 4  # how much longer than its processor time an answer may take by the clock on the wall
RIGHT, WRONG, UNPARSED, EXCEEDED = "right", "wrong", "unparsed", "exceeded"
# Graded before the first answer, so that the library of numbers is loaded at the start and at nobody's expense.
_WARM_UP = ((r"\frac{1+\sqrt{5}}{2}x^{2}", r"x^{2}\cdot (\frac{1}{2}+\frac{\sqrt{5}}{2})"), (r"\cos 2\pi", "1"))


def main(deadline_s: float, memory_bytes: int) -> None:
    """Serve until standard input ends.

    The kernel ends the process when an answer has used `deadline_s` of processor time, even in the middle of a
    computation that never returns to Python. Processor time, so that a busy machine fails no honest answer; the parent
    watches the clock on the wall besides. A parent that dies closes the pipe, which ends an idle worker; a busy one is
    ended by its own timers.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not pass for a verdict
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # a job that is asked to stop still grades the step it is in
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    for answer, gold in _WARM_UP:
        _verdict(answer, gold)
    print(READY, file=replies, flush=True)
    for line in sys.stdin:
        for answer, gold in json.loads(line):
            signal.setitimer(signal.ITIMER_PROF, deadline_s)
            signal.setitimer(signal.ITIMER_REAL, WALL_FACTOR * deadline_s + 1)
            found = _verdict(answer, gold)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            print(json.dumps(found), file=replies, flush=True)


def _verdict(answer: str, gold: str) -> tuple[str, bool]:
    """The verdict, and whether the gold answer had no symbolic form where one was looked for."""
    from rewards.numeric import NumericValues

    comparison = Comparison(NumericValues())
    try:
        equal = comparison.answers(answer, gold)
    except (MemoryError, TooLarge):
        return EXCEEDED, False
    except Exception:  # no text may end a worker; what it does to the arithmetic is counted, never passed for "wrong"
        return UNPARSED, False
    if equal:
        return RIGHT, "gold" in comparison.unparsed
    return (UNPARSED if "answer" in comparison.unparsed else WRONG), "gold" in comparison.unparsed
