"""Fresh sums for the minis: digits 1–9 as in `models.mini.arithmetic`, with more operations than the sums there."""

from __future__ import annotations

import numpy as np

from models.mini.arithmetic import apply
from sweep.config.benchmarks import MiniFresh
from sweep.data.fresh import distinct
from sweep.data.reading import Problem


def mini_fresh(options: MiniFresh) -> list[Problem]:
    """Return `options.size` different sums, such as `3+4-2+5`. Their ids are their texts, as for the minis' sums.

    Raises:
        UserError: the options do not allow so many different sums.
    """

    def draw(rng: np.random.Generator, i: int) -> Problem:
        count = int(rng.integers(options.min_operations, options.max_operations + 1))
        first, *others = (int(digit) for digit in rng.integers(1, 10, count + 1))
        text, value = str(first), first
        for plus, digit in zip(rng.integers(0, 2, count), others, strict=True):
            op = "+" if plus else "-"
            text, value = f"{text}{op}{digit}", apply(op, value, digit)
        return Problem(text, text, (str(value),))

    return distinct("mini_fresh", options.problem_seed, options.size, draw)
