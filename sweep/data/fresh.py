"""Draw fresh problems from keys, so that problem i of a seed is the same however many are made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sweep.data.reading import Problem, question_key
from sweep.errors import UserError
from sweep.keyed import generator

MOST_DRAWS = 1000  # draws for one problem, after which the options are taken to allow no further one

Draw = Callable[[np.random.Generator, int], Problem]


def distinct(name: str, seed: int, count: int, draw: Draw) -> list[Problem]:
    """Return `count` problems that all ask something different.

    Problem i is drawn from a key of its own, again and again until no problem before it asks the same. It therefore
    does not depend on `count`.

    Args:
        name: the kind of problems, for keys and messages.
        draw: returns problem i, drawn from a generator.
    Raises:
        UserError: there are fewer than `count` different problems, as far as many draws can tell.
    """
    found: list[Problem] = []
    asked: set[str] = set()
    for i in range(count):
        problem = _another(name, seed, i, draw, asked)
        if problem is None:
            raise UserError(
                f"{name}: size={count}: after {i} problems, {MOST_DRAWS} draws gave only repeated ones; lower size, or "
                "widen the options so that there are more different problems"
            )
        asked.add(question_key(problem.question))
        found.append(problem)
    return found


def _another(name: str, seed: int, i: int, draw: Draw, asked: set[str]) -> Problem | None:
    for attempt in range(MOST_DRAWS):
        problem = draw(generator("fresh problem", name, seed, i, attempt), i)
        if question_key(problem.question) not in asked:
            return problem
    return None
