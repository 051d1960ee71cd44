"""Intervals of scores over problems and over draws, pass@k curves, and simulated coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage import intervals
from helpers.scored import answered, verdicts
from sweep.errors import UserError
from sweep.score.curves import pass_curve
from sweep.score.intervals import Interval, draw_error, over_draws, over_problems, problem_bounds
from sweep.score.pass_at_k import curve_ks


def test_the_interval_over_problems_by_hand():
    """Two problems, one all right: with a quarter of each extreme, a variance of 2.5 / 4 / 1.5 around 1/2."""
    found = over_problems([1.0, 0.0])
    independent = 0.25 * 2 / (2.5 * 0.25 / 1.5)
    t = stats.t.ppf(0.975, 1)
    low, high = stats_wilson(0.5, independent, t)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
    assert (found.value, found.n, found.units, found.heading) == (0.5, 2, "problems", "these weights, other problems")


def stats_wilson(p: float, n: float, z: float) -> tuple[float, float]:
    """The chances c at which (p - c)² = z² c (1 - c) / n."""
    roots = np.roots([1 + z**2 / n, -(2 * p + z**2 / n), p**2])
    return tuple(sorted(float(root) for root in roots))


def test_of_one_answer_to_each_problem_it_is_nearly_wilsons():
    found = over_problems([1.0] * 30 + [0.0] * 70)
    assert (found.low, found.high) == pytest.approx(stats_wilson(0.3, 100, stats.t.ppf(0.975, 99)), abs=2e-3)


@pytest.mark.parametrize(("score", "low", "high"), [(0.0, 0.0, None), (1.0, None, 1.0), (0.5, None, None)])
def test_problems_that_all_score_the_same_have_an_interval_with_a_width(score, low, high):
    found = over_problems([score] * 30)
    assert found.value == score and 0.02 < found.high - found.low < 0.2 and found.low <= score <= found.high
    assert low is None or found.low == low
    assert high is None or found.high == high


@pytest.mark.parametrize("values", [[0.2, 0.9, 0.4], [1.0, 1.0, 0.0, 0.5]])
def test_it_is_the_same_seen_from_wrong_answers(values):
    found, other = over_problems(values), over_problems([1 - value for value in values])
    assert (found.low, found.high) == pytest.approx((1 - other.high, 1 - other.low))


def test_many_problems_bring_it_to_students():
    values = np.random.default_rng(0).beta(2, 3, 3000)
    found = over_problems(values)
    half = stats.t.ppf(0.975, 2999) * values.std(ddof=1) / math.sqrt(3000)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=1e-4)


def test_one_problem_has_no_interval_and_none_has_no_mean():
    found = over_problems([0.5])
    assert (found.value, found.n, found.low, found.high) == (0.5, 1, None, None)
    with pytest.raises(UserError, match="no problem to score"):
        over_problems([])
    with pytest.raises(ValueError, match="between 0 and 1"):
        over_problems([0.5, 1.5])


def test_the_interval_over_draws_by_hand():
    """Shares 1/2 of two and 1/4 of four; own variances 1/4 and 1/16; two problems of (1/4 + 1/16)/2 are added."""
    found = over_draws(verdicts(a="Rw", b="Rwww"))
    half = stats.norm.ppf(0.975) * math.sqrt(1 / 4 + 1 / 16 + (1 / 4 + 1 / 16)) / 2
    assert (found.low, found.high) == (0.0, pytest.approx(min(1.0, 3 / 8 + half)))
    wide = over_draws({f"{p}{i}": rows for i in range(50) for p, rows in verdicts(a="Rw", b="Rwww").items()})
    half = stats.norm.ppf(0.975) * math.sqrt(50 * 5 / 16 + 5 / 16) / 100
    assert (wide.low, wide.high) == (pytest.approx(3 / 8 - half), pytest.approx(3 / 8 + half))
    assert (wide.n, wide.units, wide.heading) == (300, "answers", "these weights and problems, other draws")


def test_draws_that_are_all_alike_have_an_interval_and_single_ones_have_none():
    for letters, value in (("RRRR", 1.0), ("wwww", 0.0)):
        found = over_draws(verdicts(a=letters, b=letters))
        assert found.value == value and found.low <= value <= found.high and found.high - found.low > 0.2
    single = over_draws(verdicts(a="RR", b="R"))
    assert (single.value, single.n, single.low, single.high) == (1.0, 3, None, None)
    with pytest.raises(UserError, match="no answer to score"):
        over_draws({})


@pytest.mark.parametrize(
    ("most", "ks"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (16, [1, 2, 4, 8, 16]), (20, [1, 2, 4, 8, 16, 20])]
)
def test_the_numbers_of_a_curve(most, ks):
    assert curve_ks(most) == ks


def test_a_curve_by_hand():
    """Up to the smallest number of answers; problem a holds one right answer of four, b none of three."""
    found = pass_curve(verdicts(a="Rwww", b="www"))
    assert {k: one.value for k, one in found.items()} == {1: 1 / 8, 2: 1 / 4, 3: 3 / 8}
    assert found[2] == over_problems([1 / 2, 0.0]) and isinstance(found[2], Interval)
    assert pass_curve({"a": [answered("a", 0, True)]})[1].low is None


@pytest.mark.parametrize(("problems", "draws", "least"), [(30, 2500, 0.92), (500, 500, 0.91)])
def test_the_intervals_hold_the_truth_95_times_in_100(problems, draws, least):
    """By fewer cases of benchmarks/coverage.py. The tolerance is the docstrings' and three standard errors."""
    cases = list(intervals(problems, draws, (0.05, 0.3, 0.5, 0.95), (0.3, 1, 100), (1, 2, 4, 8, 32)))
    over = [case["over_problems"] for case in cases]
    drawn = [case["over_draws"] for case in cases if case["samples"] > 1]
    assert len(over) == 60 and len(drawn) == 48
    assert min(over) >= least and min(drawn) >= least
    assert 0.945 <= np.mean(over) <= 0.985 and 0.945 <= np.mean(drawn) <= 0.975


def test_what_is_simulated_is_what_the_functions_return():
    evaluation = verdicts(a="Rwww", b="RRRR", c="wwww", d="RRww")
    shares = np.array([0.25, 1.0, 0.0, 0.5])
    low, high = problem_bounds(shares.mean(), ((shares - shares.mean()) ** 2).sum(), 4)
    found, drawn = over_problems(shares), over_draws(evaluation)
    assert (found.low, found.high) == (low, high)
    assert drawn.high - drawn.value == pytest.approx(float(draw_error(shares * 4, np.full(4, 4.0))))
