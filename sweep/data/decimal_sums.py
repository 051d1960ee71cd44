"""Fresh sums of decimals, such as `332.419 - 993.538 + 740.756 = ?`, with their exact values.

A wrong digit makes the answer wrong, and no model has seen the sum before, so that a right answer was computed.
"""

from __future__ import annotations

import numpy as np

from sweep.config.benchmarks import DecimalSums
from sweep.data.fresh import distinct
from sweep.data.reading import Problem


def decimal_sums(options: DecimalSums) -> list[Problem]:
    """Return `options.size` different sums.

    The numbers of one sum have equally many digits, and equally many of them, at least one, after the point. Their
    first digit is not zero.

    Raises:
        UserError: the options do not allow so many different sums.
    """

    def draw(rng: np.random.Generator, i: int) -> Problem:
        count = int(rng.integers(options.min_terms, options.max_terms + 1))
        digits = int(rng.integers(options.min_digits, options.max_digits + 1))
        decimals = int(rng.integers(1, digits))
        terms = [int(term) for term in rng.integers(10 ** (digits - 1), 10**digits, count)]
        signs = [1, *(1 - 2 * int(minus) for minus in rng.integers(0, 2, count - 1))]
        signed = list(zip(signs, terms, strict=True))
        written = [f"{'-' if sign < 0 else '+'} {_decimal(term, decimals)}" for sign, term in signed]
        total = sum(sign * term for sign, term in signed)
        question = f"{' '.join(written).removeprefix('+ ')} = ?"
        return Problem(str(i), question, (_decimal(total, decimals),))

    return distinct("decimal_sums", options.problem_seed, options.size, draw)


def _decimal(units: int, decimals: int) -> str:
    """Return a whole number of units of the last decimal as a decimal: 79637 with 3 decimals is 79.637."""
    digits = str(abs(units)).zfill(decimals + 1)
    return f"{'-' if units < 0 else ''}{digits[:-decimals]}.{digits[-decimals:]}"
