"""pass@k: the chance that at least one of k answers to a problem is right."""

from __future__ import annotations

import math
from functools import lru_cache

from sweep.score.grouped import Grouped, check_k, counts


def pass_at_k(answers: Grouped, k: int) -> float:
    """Return the mean over problems of `problem_pass_at_k`.

    Raises:
        UserError: k is below 1, or above the smallest number of answers to a problem.
    """
    shares = passes(answers, k)
    return math.fsum(shares.values()) / len(shares)


def passes(answers: Grouped, k: int) -> dict[str, float]:
    """Return the unbiased estimate of pass@k of each problem. Problems may have different numbers of answers.

    Raises:
        UserError: k is below 1, or above the smallest number of answers to a problem.
    """
    counted = counts(answers)
    check_k(k, {problem: n for problem, (_, n) in counted.items()}, "pass")
    return {problem: problem_pass_at_k(n, right, k) for problem, (right, n) in counted.items()}


@lru_cache(maxsize=65536)
def problem_pass_at_k(n: int, right: int, k: int) -> float:
    """Return the share of the C(n, k) choices of k out of n answers that hold a right one: 1 - C(n-right, k) / C(n, k).

    Its mean over draws of the n answers is the chance that one of k fresh answers is right (Chen et al., 2021, arXiv
    2107.03374). It is computed in whole numbers and rounded once, so that it is exact to the last digit for any n.
    """
    choices = math.comb(n, k)
    return (choices - math.comb(n - right, k)) / choices


def curve_ks(most: int) -> list[int]:
    """Return the powers of two up to `most`, and `most` itself."""
    powers = [2**i for i in range(most.bit_length())]
    return powers if powers[-1] == most else [*powers, most]
