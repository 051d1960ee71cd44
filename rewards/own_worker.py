"""A process that runs a user's own detectors: reads batches of (name, text), writes one decision a line.

`guard` starts it. A decision is [shown, fault]; `fault` is "" unless the detector failed at this text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rewards.custom import FunctionSource, decide, load
from rewards.worker import serve

Decide = Callable[[str], bool]


def main(deadline_s: float, memory_bytes: int, own: Mapping[str, Mapping[str, Any]]) -> None:
    """Load the detectors `own` (by name, as `rewards.behaviours.OwnDetector`) and serve until standard input ends.

    A file that cannot be run ends the process at once, so that the job learns of it before it has done any work.
    """

    def loaded() -> Callable[[tuple[str, str]], tuple[bool, str]]:
        """Return the function that decides about (name, text)."""
        detectors = {name: _decider(of) for name, of in own.items()}

        def decided(item: tuple[str, str]) -> tuple[bool, str]:
            """Return whether the behaviour is shown, and what went wrong."""
            name, text = item
            try:
                return detectors[name](text), ""
            except ValueError as error:
                return False, str(error)
            except MemoryError:
                return False, "took more memory than behaviours.memory_gb"

        return decided

    serve(deadline_s, memory_bytes, loaded)


def _decider(own: Mapping[str, Any]) -> Decide:
    if own["pattern"] is not None:
        search = re.compile(own["pattern"]).search
        return lambda text: search(text) is not None
    function = FunctionSource(**own["function"])
    load(own["target"], function)
    return partial(decide, own["target"], function)
