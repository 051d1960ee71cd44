"""Try a user's function once, in a separate process: `python -m rewards.trial`.

Reads a JSON object from standard input (`target`, `function`, `question`, `gold`, `samples`; `detector` says that the
function detects a behaviour and is no reward) and prints one line of JSON: `error` says what the function
did wrong ("" if nothing), `missing` is true if it imports a package that is not installed here, `rewards` are the
rewards it gave.
"""

from __future__ import annotations

import contextlib
import json
import sys

from rewards.base import Response
from rewards.custom import FunctionSource, call, decide


def made_up_group(question: str, gold: str, samples: int) -> list[Response]:
    """Return `samples` made-up responses of four kinds in turn: right, wrong, truncated, empty."""
    kinds = [
        (f"Let me see. The answer is \\boxed{{{gold}}}.", gold, True, False),
        ("```python\nprint(1)\n```\nSo it is \\boxed{-1}.", "-1", False, False),
        ("Let me see. First", None, False, True),
        ("", None, False, False),
    ]
    return [
        Response(question, text, gold, answer, correct, truncated, lambda purpose: 0.5)
        for text, answer, correct, truncated in (kinds[place % len(kinds)] for place in range(samples))
    ]


def main() -> None:
    """Read the request, call the function on a made-up group, and print the result."""
    request = json.load(sys.stdin)
    group = made_up_group(request["question"], request["gold"], request["samples"])
    error, missing, rewards = "", False, []
    with contextlib.redirect_stdout(sys.stderr):  # standard output carries the result alone
        try:
            function = FunctionSource(**request["function"])
            if request["detector"]:
                for response in group:
                    decide(request["target"], function, response.text)
            else:
                rewards = call(request["target"], function, group)
        except ValueError as raised:
            error, missing = str(raised), isinstance(raised.__cause__, ImportError)
    print(json.dumps({"error": error, "missing": missing, "rewards": rewards}), flush=True)


if __name__ == "__main__":
    main()
