"""Try a reward function of a user's own once, in a process of its own: `python -m rewards.trial`.

Reads a JSON object from standard input (`target`, `function`, `question`, `gold`, `samples`) and prints one line of
JSON: `error` is what the function did wrong, "" where it gave its rewards; `missing`, whether it imports what is not
installed here; `rewards`, what it gave.
"""

from __future__ import annotations

import contextlib
import json
import sys

from rewards.base import Response
from rewards.custom import FunctionSource, call


def made_up_group(question: str, gold: str, samples: int) -> list[Response]:
    """Responses of the kinds that a policy gives, in turn: a right one, a wrong one, a cut one, an empty one."""
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
    asked = json.load(sys.stdin)
    group = made_up_group(asked["question"], asked["gold"], asked["samples"])
    error, missing, rewards = "", False, []
    with contextlib.redirect_stdout(sys.stderr):  # what the function prints is no answer
        try:
            rewards = call(asked["target"], FunctionSource(**asked["function"]), group)
        except ValueError as raised:
            error, missing = str(raised), isinstance(raised.__cause__, ImportError)
    print(json.dumps({"error": error, "missing": missing, "rewards": rewards}), flush=True)


if __name__ == "__main__":
    main()
