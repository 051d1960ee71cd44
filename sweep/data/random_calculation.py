r"""Fresh nested calculations in LaTeX, with exact values.

The protocol is that of RandomCalculation (arXiv 2507.10532, Algorithm 1): a calculation of depth i has exactly i
operations. It joins one of depth j and one of depth i − 1 − j, with j from 0 to ⌈i/2⌉, by +, −, × or ÷, in either
order. Depth 0 is a whole number from 0 to 100, a fraction of two such numbers, or the square or cube of one. Unlike
there, values are exact, so that an answer is right or wrong, every calculation is drawn on its own, and none has the
value 0, which could be guessed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from sweep.config.benchmarks import RandomCalculation
from sweep.data.fresh import distinct
from sweep.data.reading import Problem

LARGEST = 100  # of the whole numbers that calculations are made of
MOST_VALUE = 10**6
MOST_DENOMINATOR = 10**4
_OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": Fraction.__add__,
    "-": Fraction.__sub__,
    r"\times": Fraction.__mul__,
    r"\div": Fraction.__truediv__,
}
_ORDERS = tuple(itertools.permutations(_OPERATIONS))


class Calculation(NamedTuple):
    """A calculation as LaTeX, its exact value, and its number of operations."""

    latex: str
    value: Fraction
    depth: int


def random_calculation(options: RandomCalculation) -> list[Problem]:
    """Return `options.size` different calculations.

    Their depths take turns from `min_depth` to `max_depth`, and the id of a problem begins with its depth.

    Raises:
        UserError: the options do not allow so many different calculations.
    """
    depths = options.max_depth - options.min_depth + 1

    def draw(rng: np.random.Generator, i: int) -> Problem:
        depth = options.min_depth + i % depths
        while not (found := calculation(rng, depth)).value:  # one factor 0 makes the rest of it irrelevant
            pass
        return Problem(f"depth-{depth:02d}-{i}", f"What is the exact value of ${found.latex}$?", (str(found.value),))

    return distinct("random_calculation", options.problem_seed, options.size, draw)


def calculation(rng: np.random.Generator, depth: int) -> Calculation:
    """Return a calculation with `depth` operations; every value in it is within MOST_VALUE and MOST_DENOMINATOR.

    The four operations are tried in a random order. If none gives a value within the limits, the smaller of the two
    parts is drawn again, because drawing both again takes a time that grows exponentially with the depth.
    """
    if depth == 0:
        return _number(rng)
    smaller, larger = sorted((j := int(rng.integers(0, min(-(-depth // 2), depth - 1) + 1)), depth - 1 - j))
    kept = calculation(rng, larger)
    while True:
        redrawn = calculation(rng, smaller)
        order, swap = divmod(int(rng.integers(0, 2 * len(_ORDERS))), 2)
        left, right = (redrawn, kept) if swap else (kept, redrawn)
        for sign in _ORDERS[order]:
            if (value := _within(_OPERATIONS[sign], left.value, right.value)) is not None:
                return Calculation(f"{_operand(left)} {sign} {_operand(right)}", value, depth)


def _within(operation: Callable[[Fraction, Fraction], Fraction], left: Fraction, right: Fraction) -> Fraction | None:
    """Return the value of an operation; None if it is over a limit, or divides by zero."""
    if operation is Fraction.__truediv__ and not right:
        return None
    value = operation(left, right)
    return value if abs(value) <= MOST_VALUE and value.denominator <= MOST_DENOMINATOR else None


def _number(rng: np.random.Generator) -> Calculation:
    kind, drawn = divmod(int(rng.integers(0, 4 * (LARGEST + 1) * LARGEST)), (LARGEST + 1) * LARGEST)
    number, below = drawn // LARGEST, drawn % LARGEST + 1
    latex, value = (
        (str(number), Fraction(number)),
        (rf"\frac{{{number}}}{{{below}}}", Fraction(number, below)),
        (f"{number}^{{2}}", Fraction(number**2)),
        (f"{number}^{{3}}", Fraction(number**3)),
    )[kind]
    return Calculation(latex, value, 0)


def _operand(part: Calculation) -> str:
    return rf"\left({part.latex}\right)" if part.depth else part.latex
