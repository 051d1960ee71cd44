"""Statistics over seeds: pure functions of numbers. Each docstring names the law that it rests on.

A seed is a repetition of the whole training, so a cell's result is one number, and every n counts seeds. The laws are
Student's: they hold if a result is normal over seeds, and closely if it is the mean of some hundred graded answers. The
tests simulate both cases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LEVEL = 0.95
ALPHA = 0.05
POWER = 0.80
MOST_SEEDS = 10_000  # the search for a number of seeds ends here
NO_SPREAD = 1e-12  # a standard error below this fraction of the values is a rounding error of their sums


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, or a difference of two means.

    n: the number of seeds; in a difference without pairs the smaller number.
    deviation: the standard deviation that one more seed adds (of a pair's difference, or of the difference of two
    unpaired seeds), so that n seeds leave an error of deviation / sqrt(n).
    growth: the degrees of freedom that n seeds would leave, divided by n - 1.
    error: the standard error, and df its degrees of freedom. p: two-sided, for the hypothesis that the value is 0.
    low, high: the 95 % interval.

    One seed has no spread: all fields but value and n are then None. If several seeds gave the same number, error is 0,
    and p, low and high are None, because there is no spread to test against.
    """

    value: float
    n: int
    deviation: float | None = None
    growth: float = 1.0
    error: float | None = None
    df: float | None = None
    p: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Ratio:
    """A ratio of two means with its 95 % interval."""

    value: float
    low: float
    high: float


def mean_estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of independent values, by Student's t with n - 1 degrees of freedom (Student, 1908, Biometrika
    6).

    Raises:
        ValueError: there is no value.
    """
    n = len(values)
    mean = _mean(values)
    if n < 2:
        return Estimate(mean, n)
    deviation = float(np.std(values, ddof=1))
    return _estimate(mean, n, deviation, 1.0, deviation / math.sqrt(n), n - 1, max(map(abs, values)))


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Estimate:
    """Return first - second, by Student's t on the differences of the seeds that both have.

    Effects that both share, such as a common baseline, cancel.

    Raises:
        ValueError: they share no seed.
    """
    return mean_estimate([first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())])


def welch(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Return mean(first) - mean(second) of independent samples with possibly different variances (Welch, 1947,
    Biometrika 34).

    The degrees of freedom are Satterthwaite's (1946). A single value has no spread, so there is neither interval nor p
    if one of the samples has only one value.

    Raises:
        ValueError: one of them is empty.
    """
    n = min(len(first), len(second))
    value = _mean(first) - _mean(second)
    if n < 2:
        return Estimate(value, n)
    variances = [float(np.var(values, ddof=1)) for values in (first, second)]
    parts = [variance / len(values) for variance, values in zip(variances, (first, second), strict=True)]
    within = sum(part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True))
    df = sum(parts) ** 2 / within if within else n - 1
    growth = sum(variances) ** 2 / sum(variance**2 for variance in variances) if within else 1.0
    scale = max(map(abs, (*first, *second)))
    return _estimate(value, n, math.sqrt(sum(variances)), growth, math.sqrt(sum(parts)), df, scale)


def _mean(values: Sequence[float]) -> float:
    if not len(values):
        raise ValueError("there is no value to average")
    return float(np.mean(values))


def _estimate(value: float, n: int, deviation: float, growth: float, error: float, df: float, scale: float) -> Estimate:
    from scipy.special import stdtr

    if error <= NO_SPREAD * scale:
        return Estimate(value, n, 0.0, growth, 0.0, df)
    half = critical(df, ALPHA) * error
    p = float(2 * stdtr(df, -abs(value) / error))
    return Estimate(value, n, deviation, growth, error, df, p, value - half, value + half)


def critical(df: float, alpha: float) -> float:
    """Return the |t| beyond which a two-sided test at `alpha` with `df` degrees of freedom rejects."""
    from scipy.special import stdtrit

    return float(stdtrit(df, 1 - alpha / 2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that the chance that any is below 0.05 by chance alone is at most 5 % (Holm, 1979).

    The k-th smallest of m is multiplied by m - k + 1, and none is smaller than the one before it. This holds however
    the tests depend on one another, as contrasts with one control do. (Scandinavian Journal of Statistics 6.)
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def power(difference: float, error: float, df: float, alpha: float) -> float:
    """Return the probability that a two-sided t test at `alpha` finds `difference`, if the standard error is `error`.

    This is a tail of the noncentral t distribution. It is computed as the mean of normal tails over the estimated
    error, because scipy's `nct` gives NaN for few degrees of freedom with a large bound.
    """
    from scipy.special import ndtr

    shares, weights = _estimated_errors(df)
    bound, shift = critical(df, alpha), abs(difference) / error
    return float((ndtr(shift - bound * shares) + ndtr(-shift - bound * shares)) @ weights)


@lru_cache(maxsize=4096)
def _estimated_errors(df: float) -> tuple[np.ndarray, np.ndarray]:
    """Return possible values of an error estimated with `df` degrees of freedom, divided by the true one, with their
    weights.
    """
    from scipy.special import gammaincinv

    nodes, weights = _nodes()
    return np.sqrt(2 * gammaincinv(df / 2, nodes) / df), weights


@lru_cache(maxsize=1)
def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Return Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    return (nodes + 1) / 2, weights / 2


@lru_cache(maxsize=65536)
def _found_errors(df: float, alpha: float) -> float:
    """Return the smallest true difference, in standard errors, that a test at `alpha` finds with 80 % power."""
    from scipy.optimize import brentq

    def lacks(shift: float) -> float:
        return power(shift, 1.0, df, alpha) - POWER

    high = 2 * critical(df, alpha)
    while lacks(high) < 0:
        high *= 2
    return float(brentq(lacks, 0.0, high, xtol=1e-6))


def detectable(estimate: Estimate, tests: int) -> float | None:
    """Return the smallest true difference that a test finds with 80 % power at 0.05 / `tests`; None if no spread is
    known.
    """
    return estimate.error * _found_errors(estimate.df, ALPHA / tests) if estimate.error else None


def seeds_needed(estimate: Estimate, tests: int) -> int | None:
    """Return the number of seeds that would show the observed difference with 80 % power at 0.05 / `tests`.

    The observed spread is taken as the true one. In a difference without pairs, it is the number for each side. None if
    there is no spread or no difference, or if more than MOST_SEEDS were needed.
    """
    if not estimate.error or not estimate.value or estimate.deviation is None:
        return None
    seen = abs(estimate.value) / estimate.deviation

    def enough(n: int) -> bool:
        return seen * math.sqrt(n) >= _found_errors(estimate.growth * (n - 1), ALPHA / tests)

    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
        if low >= MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high if high <= MOST_SEEDS else None


def fieller(numerators: Sequence[float], denominators: Sequence[float]) -> Ratio | None:
    """Return the ratio of two means over the same seeds with its 95 % interval (Fieller, 1954, J. R. Stat. Soc. B 16).

    None if the denominator cannot be told apart from 0 at that level, or has no spread: the ratios that agree with the
    data are then not an interval.
    """
    n = len(numerators)
    if n < 2:
        return None
    a, b = _mean(numerators), _mean(denominators)
    (aa, ab), (_, bb) = np.cov(numerators, denominators, ddof=1) / n
    bound = critical(n - 1, ALPHA) ** 2
    if math.sqrt(bb) <= NO_SPREAD * max(map(abs, denominators)) or b**2 <= bound * bb:
        return None
    middle, lead = a * b - bound * ab, b**2 - bound * bb
    root = math.sqrt(max(0.0, middle**2 - lead * (a**2 - bound * aa)))
    return Ratio(a / b, float((middle - root) / lead), float((middle + root) / lead))


def binomial_bound(answers: int) -> float:
    """Return half the width of the widest 95 % interval (at 1/2) of a fraction of `answers` independent answers."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + LEVEL / 2)) * math.sqrt(0.25 / answers)
