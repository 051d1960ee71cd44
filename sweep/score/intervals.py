"""95 % intervals of scores, each named by what it speaks of: other problems, or other draws of the same problems.

What other trainings would give is a third question. Its unit is the training; `sweep.compare.statistics` answers it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from sweep.errors import UserError
from sweep.score.grouped import Grouped, counts

LEVEL = 0.95
OTHER_PROBLEMS = "these weights, other problems"
OTHER_DRAWS = "these weights and problems, other draws"
DRAWS_LAW = "the answers to a problem are independent draws; the error of the mean is normal"
ADDED_WEIGHT = 0.25  # of an added problem that is all right, and of one that is all wrong
ADDED_PROBLEMS = 2.0  # problems with one answer unlike the others that are added


@dataclass(frozen=True)
class Interval:
    """A score with its 95 % interval.

    heading: what the interval is over. value: the score. n: how many `units` it rests on. low, high: its bounds, within
    [0, 1]; None where there are too few to know how much they differ. law: what it assumes.
    """

    heading: str
    value: float
    n: int
    units: str
    low: float | None
    high: float | None
    law: str


def over_problems(values: Collection[float]) -> Interval:
    """Return the mean of the scores of problems, with an interval for the mean over all problems of their kind.

    values: one number in [0, 1] for each problem: its share of right answers, its pass@k or its maj@k. The answers to
    a problem depend on one another through its difficulty, so the problem is the unit, however many answers it has.

    The law: the problems are independent draws from a wider set. The interval is Wilson's (1927, Journal of the
    American Statistical Association 22) with Student's quantile for n - 1 degrees of freedom. Where Wilson has the
    number of answers it has the number of independent ones that would leave the same error, mean · (1 - mean) · n /
    variance. So it does not reach below 0 or above 1, and has a width where all problems score the same. The variance
    is that of the problems together with a quarter of one that is all right, and a quarter of one that is all wrong,
    because few problems seldom show their rarest kind.

    Simulated with 1 to 32 answers, means from 0.05 to 0.95, and chances of problems that follow beta distributions from
    nearly all 0 or 1 to nearly all alike: of 30 problems 93.4 to 100 % of the intervals hold the true mean, of 500
    problems 94.2 to 97.1 % (benchmarks/coverage.py). It falls short where each of 30 problems has one answer and the
    mean is 0.05 or 0.95, where Student's interval holds the truth 78 times in 100. It is up to twice as wide as it need
    be where 30 problems are alike and nearly all wrong, or right.

    Raises:
        UserError: there is no value. ValueError: a value is outside [0, 1].
    """
    scores = np.asarray(list(values), dtype=float)
    n = len(scores)
    if not n:
        raise UserError("there is no problem to score; is the evaluation empty, or does the filter leave nothing?")
    if scores.min() < 0 or scores.max() > 1:
        raise ValueError("scores of problems lie between 0 and 1")
    mean = math.fsum(scores) / n
    law = "the problems are independent draws; Wilson's interval with the variance of the problems"
    if n < 2:
        return Interval(OTHER_PROBLEMS, mean, n, "problems", None, None, law)
    low, high = problem_bounds(np.array(mean), np.array(((scores - mean) ** 2).sum()), n)
    return Interval(OTHER_PROBLEMS, mean, n, "problems", float(low), float(high), law)


def problem_bounds(means: np.ndarray, squares: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of `over_problems`, elementwise, from `means` of `n` scores and their sums of squared
    deviations.
    """
    from scipy.special import stdtrit

    total = n + 2 * ADDED_WEIGHT
    centre = (means * n + ADDED_WEIGHT) / total
    spread = squares + n * (means - centre) ** 2 + ADDED_WEIGHT * (centre**2 + (1 - centre) ** 2)
    independent = centre * (1 - centre) * n * (total - 1) / spread
    bound = float(stdtrit(n - 1, 0.5 + LEVEL / 2)) ** 2 / independent
    middle = (means + bound / 2) / (1 + bound)
    half = np.sqrt(bound * (means * (1 - means) + bound / 4)) / (1 + bound)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def over_draws(answers: Grouped) -> Interval:
    """Return avg@k with an interval for what it would be if infinitely many answers were drawn to the same problems.

    It says how far another evaluation seed may be off, given these weights and these problems, and nothing of others.

    The law: answers to a problem are independent draws, right with the same chance. The error is normal; its variance
    is the mean of the problems' own, each estimated without bias from its answers, p · (1 - p) / (n - 1), divided by
    their number. Two more problems of whose answers one is unlike the others are added to the variance, because chances
    near 0 and 1 often show no variation at all.

    Simulated as in `over_problems`, with 2 to 32 answers: of 30 problems 94.6 to 100 % of the intervals hold the truth,
    of 500 problems 94.0 to 97.7 %. The bounds are None if a problem has one answer, which shows no variation.

    Raises:
        UserError: there is no problem, or one without an answer.
    """
    counted = list(counts(answers).values())
    right, sizes = (np.array(column, dtype=float) for column in zip(*counted, strict=True))
    mean = math.fsum(right / sizes) / len(counted)
    n = int(sizes.sum())
    if sizes.min() < 2:
        return Interval(OTHER_DRAWS, mean, n, "answers", None, None, DRAWS_LAW)
    half = float(draw_error(right, sizes))
    return Interval(OTHER_DRAWS, mean, n, "answers", max(mean - half, 0.0), min(mean + half, 1.0), DRAWS_LAW)


def draw_error(right: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return half the width of `over_draws`, from the numbers of right answers and of answers (…, problems)."""
    from scipy.special import ndtri

    shares = right / sizes
    own = (shares * (1 - shares) / (sizes - 1)).sum(axis=-1)
    added = ADDED_PROBLEMS * (1 / sizes**2).mean(axis=-1)
    return float(ndtri(0.5 + LEVEL / 2)) * np.sqrt(own + added) / sizes.shape[-1]
