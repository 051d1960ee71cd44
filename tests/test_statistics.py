"""Statistics over seeds: against scipy, against numbers worked out by hand, and by simulated coverage."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from helpers.constants import ROOT
from sweep.compare.statistics import (
    Estimate,
    Ratio,
    binomial_bound,
    critical,
    detectable,
    fieller,
    holm,
    mean_estimate,
    paired,
    power,
    seeds_needed,
    welch,
)

DRAWS = 20_000


def learning(model: str, reward: str) -> dict[int, float]:
    """Final accuracies by seed, from the results that come with the project."""
    cells = json.loads((ROOT / "benchmarks/results/learning.json").read_text())["cells"]
    return {c["seed"]: c["final_accuracy"] for c in cells if (c["model"], c["reward"]) == (model, reward)}


def test_the_contrast_of_the_published_results():
    found = paired(learning("qwen2_mini", "ground_truth"), learning("qwen2_mini", "random"))
    assert (found.value, found.low, found.high) == pytest.approx((0.146, 0.053, 0.239), abs=5e-4)
    assert found.n == 3 and found.df == 2


@pytest.mark.parametrize("n", [2, 3, 8])
def test_paired_t_is_scipys_over_the_seeds_that_both_have(n):
    draw = np.random.default_rng(n)
    first = {seed: float(draw.normal(0.5, 0.02)) for seed in range(n + 1)}  # the last has no partner
    second = {seed: float(draw.normal(0.48, 0.02)) for seed in range(n)}
    found = paired(first, second)
    reference = stats.ttest_rel([first[seed] for seed in range(n)], list(second.values()))
    low, high = reference.confidence_interval()
    assert (found.p, found.low, found.high) == pytest.approx((reference.pvalue, low, high))
    assert (found.n, found.error) == (n, pytest.approx(found.deviation / math.sqrt(n)))


@pytest.mark.parametrize("sizes", [(2, 2), (3, 5), (9, 4)])
def test_welch_is_scipys(sizes):
    draw = np.random.default_rng(sum(sizes))
    first, second = (draw.normal(0.4, spread, size) for spread, size in zip((0.01, 0.05), sizes, strict=True))
    found = welch(first, second)
    reference = stats.ttest_ind(first, second, equal_var=False)
    low, high = reference.confidence_interval()
    expected = reference.pvalue, reference.df, low, high
    assert (found.p, found.df, found.low, found.high) == pytest.approx(expected)
    assert found.n == min(sizes)
    assert found.deviation == pytest.approx(math.sqrt(first.var(ddof=1) + second.var(ddof=1)))


@pytest.mark.parametrize(
    "found",
    [mean_estimate([0.3]), paired({0: 0.5, 1: 0.6}, {0: 0.4, 2: 0.1}), welch([0.5], [0.4, 0.3])],
    ids=["mean", "paired", "welch"],
)
def test_one_seed_has_neither_interval_nor_p(found):
    assert found.n == 1 and {found.error, found.p, found.low, found.high} == {None}
    assert detectable(found, 3) is None and seeds_needed(found, 3) is None


@pytest.mark.parametrize(
    "found",
    [
        mean_estimate([0.1, 0.1, 0.1]),
        mean_estimate([300.1] * 7),
        paired({0: 0.3, 1: 0.7}, {0: 0.1, 1: 0.5}),
        welch([0.2, 0.2], [0.1, 0.1, 0.1]),
    ],
)
def test_seeds_that_are_all_alike_give_no_p(found):
    assert found.error == 0 and found.p is None and found.low is None
    assert detectable(found, 1) is None and seeds_needed(found, 1) is None


@pytest.mark.parametrize(
    "estimate", [lambda: mean_estimate([]), lambda: paired({0: 1.0}, {1: 1.0}), lambda: welch([], [1.0])]
)
def test_nothing_has_no_mean(estimate):
    with pytest.raises(ValueError, match="no value to average"):
        estimate()


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.04, 0.01, 0.04], [0.08, 0.03, 0.08]),
        ([0.5, 0.9, 0.001], [1.0, 1.0, 0.003]),
        ([0.02, 0.011, 0.01], [0.03, 0.03, 0.03]),  # none is smaller than the one before it
    ],
)
def test_holm_by_hand(p_values, adjusted):
    assert holm(p_values) == pytest.approx(adjusted)


@pytest.mark.parametrize("df", [2, 4, 17.3])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 15])
def test_power_is_the_tail_of_the_noncentral_t(df, alpha):
    for shift in (0.0, 1.0, 3.0, 6.0):
        bound = critical(df, alpha)
        reference = stats.nct.sf(bound, df, shift) + stats.nct.cdf(-bound, df, shift)
        if math.isfinite(reference):
            assert power(shift * 0.01, 0.01, df, alpha) == pytest.approx(reference, abs=2e-6)


def test_power_where_scipy_has_none():
    """Few degrees of freedom and many tests, against simulated t statistics."""
    df, alpha, shift = 2, 0.05 / 27, 30.0
    draw = np.random.default_rng(0)
    t = (shift + draw.standard_normal(200_000)) / np.sqrt(draw.chisquare(df, 200_000) / df)
    assert power(shift, 1.0, df, alpha) == pytest.approx(float((np.abs(t) > critical(df, alpha)).mean()), abs=0.004)


@pytest.mark.parametrize(("n", "tests"), [(3, 1), (3, 15), (10, 6)])
def test_what_is_detectable_is_found_four_times_out_of_five(n, tests):
    found = mean_estimate(np.random.default_rng(n).normal(0.01, 0.02, n))
    smallest = detectable(found, tests)
    assert power(smallest, found.error, found.df, 0.05 / tests) == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize("values", [[0.02, 0.01, 0.06], [0.004, -0.02, 0.03, 0.01]])
@pytest.mark.parametrize("tests", [1, 15])
def test_the_seeds_needed_are_the_fewest_that_suffice(values, tests):
    found = mean_estimate(values)
    n = seeds_needed(found, tests)

    def reached(seeds: int) -> float:
        return power(found.value, found.deviation / math.sqrt(seeds), seeds - 1, 0.05 / tests)

    assert reached(n) >= 0.8 - 1e-4 > reached(n - 1)


def test_seeds_needed_without_pairs_are_of_each_and_may_be_too_many():
    unpaired = welch([0.52, 0.50, 0.51], [0.50, 0.47, 0.48])
    n = seeds_needed(unpaired, 6)
    reached = [
        power(unpaired.value, unpaired.deviation / math.sqrt(k), unpaired.growth * (k - 1), 0.05 / 6)
        for k in (n - 1, n)
    ]
    assert reached[0] < 0.8 <= reached[1] + 1e-4
    assert seeds_needed(mean_estimate([1e-6, 0.5, -0.5]), 1) is None
    assert seeds_needed(Estimate(0.0, 3, 0.1, 1.0, 0.06, 2, 1.0, -0.2, 0.2), 1) is None


def test_fieller_solves_its_equation_and_is_undefined_beside_zero():
    """Its bounds are the ratios r at which mean(a) - r mean(b) is just not told apart from 0."""
    a, b = [0.05, 0.02, 0.04, 0.03], [0.10, 0.13, 0.11, 0.12]
    found = fieller(a, b)
    for bound in (found.low, found.high):
        assert stats.ttest_1samp([x - bound * y for x, y in zip(a, b, strict=True)], 0).pvalue == pytest.approx(0.05)
    assert found.low < found.value < found.high and found.value == pytest.approx(sum(a) / sum(b))
    assert fieller(a, [0.1, -0.1, 0.2, -0.15]) is None  # the denominator may be 0
    assert fieller(a, [0.1] * 4) is None  # it has no spread to tell it from 0 by
    assert fieller([0.1], [0.2]) is None
    assert isinstance(fieller([0.1, 0.1], [0.200, 0.201]), Ratio)


def test_binomial_bound_by_hand():
    assert binomial_bound(1000) == pytest.approx(1.959964 * math.sqrt(0.25 / 1000), rel=1e-6)


def simulated(kind: str, rng: np.random.Generator, shape: tuple[int, ...], mean: float, spread: float) -> np.ndarray:
    """Results of seeds: normal, or such true accuracies measured by 1,000 graded answers each."""
    accuracies = rng.normal(mean, spread, shape)
    return accuracies if kind == "normal" else rng.binomial(1000, np.clip(accuracies, 0, 1)) / 1000


@pytest.mark.parametrize("kind", ["normal", "binomial"])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_paired_interval_covers_the_truth_95_times_in_100(kind, seeds):
    rng = np.random.default_rng(seeds)
    difference = simulated(kind, rng, (DRAWS, seeds), 0.55, 0.01) - simulated(kind, rng, (DRAWS, seeds), 0.5, 0.03)
    half = critical(seeds - 1, 0.05) * difference.std(axis=1, ddof=1) / math.sqrt(seeds)
    assert np.mean(np.abs(difference.mean(axis=1) - 0.05) <= half) == pytest.approx(0.95, abs=0.015)
    one = paired(dict(enumerate(difference[0])), dict.fromkeys(range(seeds), 0.0))  # the same law as the functions'
    assert (one.high - one.low) / 2 == pytest.approx(half[0])


@pytest.mark.parametrize("kind", ["normal", "binomial"])
@pytest.mark.parametrize("sizes", [(3, 3), (3, 6), (8, 5)])
def test_welchs_interval_covers_the_truth_95_times_in_100(kind, sizes):
    rng = np.random.default_rng(sum(sizes))
    first, second = (
        simulated(kind, rng, (DRAWS, size), mean, spread)
        for size, mean, spread in zip(sizes, (0.55, 0.5), (0.02, 0.03), strict=True)
    )
    parts = [values.var(axis=1, ddof=1) / values.shape[1] for values in (first, second)]
    df = sum(parts) ** 2 / sum(p**2 / (v.shape[1] - 1) for p, v in zip(parts, (first, second), strict=True))
    half = stats.t.ppf(0.975, df) * np.sqrt(sum(parts))
    covered = np.mean(np.abs(first.mean(axis=1) - second.mean(axis=1) - 0.05) <= half)
    assert covered == pytest.approx(0.95, abs=0.015)
    one = welch(first[0], second[0])
    assert ((one.high - one.low) / 2, one.df) == pytest.approx((half[0], df[0]))
