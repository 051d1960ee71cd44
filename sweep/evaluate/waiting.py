"""Wait while another job writes to the answers that this one wants to write to."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sweep.run.answer_files import HeldByAnother

log = logging.getLogger("sweep")
WAIT_SECONDS = 2.0

T = TypeVar("T")


def waiting(attempt: Callable[[], T]) -> T:
    """Return what `attempt` returns. While it raises HeldByAnother, wait and call it again.

    What the other job writes is then there, and is neither sampled nor graded twice.
    """
    said = False
    while True:
        try:
            return attempt()
        except HeldByAnother as held:
            if not said:
                log.info("waiting: %s", held)
            said = True
            time.sleep(WAIT_SECONDS)
