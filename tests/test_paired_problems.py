"""Paired tests per problem: against scipy, by hand, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from helpers.scored import answered, verdicts
from sweep.errors import UserError
from sweep.score.paired import MOST_EXACT, PairedTest, compare_problems, over_seeds

NOTHING = PairedTest(None, None, None)


def named(shares, n: int = 10) -> list[dict]:
    """One evaluation, with these shares of right ones among `n` answers to each problem."""
    return [
        {
            f"p{place}": [answered(f"p{place}", s, s < round(share * n)) for s in range(n)]
            for place, share in enumerate(shares)
        }
    ]


def drawn(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies of a tenth's steps, so that many differences tie or are 0."""
    draw = np.random.default_rng(seed)
    return draw.integers(0, 11, n) / 10, draw.integers(1, 11, n) / 10


@pytest.mark.parametrize("n", [6, 30, 500])
def test_student_is_scipys(n):
    before, after = drawn(n, n)
    found = compare_problems(named(before), named(after))
    two, rise = (stats.ttest_rel(after, before, alternative=side) for side in ("two-sided", "greater"))
    assert vars(found.student) == pytest.approx(
        {"statistic": two.statistic, "two_sided": two.pvalue, "rise": rise.pvalue}
    )
    low, high = two.confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.gain == pytest.approx(found.after - found.before) == pytest.approx(np.mean(after - before))


def test_wilcoxon_without_zeros_and_ties_is_scipys_exact_one():
    differences = np.array([0.01, -0.02, 0.03, 0.04, 0.05, -0.06, 0.07, 0.08, 0.09])
    found = compare_problems(named(np.full(9, 0.5), 100), named(0.5 + differences, 100))
    two, rise = (stats.wilcoxon(differences, alternative=side, method="exact") for side in ("two-sided", "greater"))
    assert vars(found.wilcoxon) == pytest.approx(
        {"statistic": rise.statistic, "two_sided": two.pvalue, "rise": rise.pvalue}
    )
    assert found.exact


@pytest.mark.parametrize("seed", range(5))
def test_wilcoxon_with_zeros_and_ties_counts_all_signs(seed):
    before, after = drawn(seed, 9)
    after[0] = before[0]
    found = compare_problems(named(before), named(after))
    differences = np.round(after - before, 9)
    ranks = stats.rankdata(np.abs(differences))[differences != 0]
    sums = [ranks[np.array(signs)].sum() for signs in itertools.product((False, True), repeat=len(ranks))]
    seen = stats.rankdata(np.abs(differences))[differences > 0].sum()
    at_least, at_most = np.mean(np.array(sums) >= seen), np.mean(np.array(sums) <= seen)
    expected = PairedTest(seen, min(1.0, 2 * min(at_least, at_most)), at_least)
    assert vars(found.wilcoxon) == pytest.approx(vars(expected))


def test_pratts_zeros_take_the_lowest_ranks():
    """Two problems that stay, and two rises of 0.1 against a fall of 0.5: ranks 1.5, 1.5, 3.5, 3.5, 5, 6."""
    found = compare_problems(named([0.5] * 6), named([0.5, 0.5, 0.6, 0.6, 0.0, 1.0]))
    # The rises of 0.1 have ranks 3.5, the changes of 0.5 have 5.5 each: 3.5 + 3.5 + 5.5 have risen.
    assert found.wilcoxon.statistic == 12.5
    # Of the 16 signs 3 give 12.5 or more: all four risen, and all but one of the smallest, or of the largest.
    assert found.wilcoxon.rise == 5 / 16 and found.wilcoxon.two_sided == 10 / 16
    assert (found.risen, found.fallen, found.same, found.problems) == (3, 1, 2, 6)


def test_the_approximation_takes_over_where_many_changed():
    before, after = drawn(3, 200)
    found = compare_problems(named(before), named(after))
    differences = np.round(after - before, 9)
    two, rise = (
        stats.wilcoxon(differences, zero_method="pratt", alternative=side, method="approx")
        for side in ("two-sided", "greater")
    )
    assert not found.exact and found.same and found.risen + found.fallen > MOST_EXACT
    assert vars(found.wilcoxon) == pytest.approx(
        {"statistic": rise.statistic, "two_sided": two.pvalue, "rise": rise.pvalue}
    )


def test_where_it_takes_over_both_agree():
    differences = np.arange(1, MOST_EXACT + 1) / 200 * np.random.default_rng(8).choice([-1, 1, 1], MOST_EXACT)
    exact = compare_problems(named(np.full(MOST_EXACT, 0.5), 200), named(0.5 + differences, 200))
    approximated = stats.wilcoxon(differences, zero_method="pratt", method="approx")
    assert exact.exact and exact.wilcoxon.two_sided == pytest.approx(approximated.pvalue, abs=0.002)
    assert 0.001 < approximated.pvalue < 0.2


def test_rounding_errors_are_no_differences():
    """0.3 - 0.1 and 0.2 - 0 are one rise, though their floats differ: were they not, a fall of 0.2 would not tie."""
    found = compare_problems(named([0.1, 0, 0.5, 0.9, 0.7, 0.1]), named([0.3, 0.2, 0.5, 0.7, 0.7, 0.1]))
    assert len({0.3 - 0.1, 0.2 - 0.0, 0.9 - 0.7}) == 3
    assert (found.risen, found.fallen, found.same) == (2, 1, 3)
    assert found.wilcoxon == PairedTest(10.0, 1.0, 4 / 8)


def test_no_change_and_equal_changes_have_nothing_to_test_by():
    still = compare_problems(named([0.5] * 6), named([0.5] * 6))
    assert still.student == still.wilcoxon == NOTHING and (still.low, still.high, still.gain) == (None, None, 0.0)
    equal = compare_problems(named([0.1] * 6), named([0.3] * 6))
    assert equal.student == NOTHING and equal.wilcoxon == PairedTest(21.0, 2 / 64, 1 / 64)


def test_the_tests_say_what_they_speak_of():
    assert compare_problems(named([0] * 6), named([1] * 6)).heading == "these runs, other problems"


def test_fewer_problems_than_can_show_anything_are_refused():
    with pytest.raises(UserError, match="needs at least 6 problems, and this evaluation has 5"):
        compare_problems(named([0.1] * 5), named([0.2] * 5))


def test_other_problems_are_refused_and_counted():
    with pytest.raises(UserError, match=r"0 are in the first alone, 2 in the second alone, 6 in both"):
        compare_problems(named([0.1] * 6), named([0.2] * 8))
    with pytest.raises(UserError, match=r"1 are in the first alone, 0 in the second alone, 1 in both"):
        over_seeds([*named([0.1, 0.2]), *named([0.1])])


def test_means_over_seeds_by_hand():
    """Runs weigh equally, however many answers each has."""
    runs = [verdicts(a="w", b="R"), verdicts(b="Rwww", a="R"), verdicts(a="RR", b="ww")]
    assert over_seeds(runs) == {"a": 2 / 3, "b": 1.25 / 3}
    assert over_seeds(runs[1:2]) == {"b": 0.25, "a": 1.0}
    with pytest.raises(UserError, match="no evaluation to average"):
        over_seeds([])


def test_wilcoxons_test_takes_as_many_answers_before_as_after():
    """One baseline of three answers and two runs of two: two of the baseline, one of each run."""
    base = verdicts(**{name: "RwR" for name in "abcdef"})
    runs = [verdicts(**{name: letters for name in "abcdef"}) for letters in ("Rw", "RR")]
    found = compare_problems([base], runs)
    assert (found.before, found.after) == pytest.approx((2 / 3, 3 / 4))
    assert found.wilcoxon == PairedTest(21.0, 2 / 64, 1 / 64)  # from 1/2 to 1 in each of six problems
    assert found.note == "Wilcoxon's test takes 24 of the 42 answers, because it needs as many before as after"
    assert compare_problems([base], [base]).note is None


def test_it_is_left_out_where_a_shared_baseline_has_fewer_answers_than_there_are_runs():
    found = compare_problems(named([0.0] * 6, 1), named([1.0] * 6, 1) * 2)
    assert found.wilcoxon == NOTHING and "there is no Wilcoxon test" in found.note and found.gain == 1.0


@pytest.mark.parametrize(("before", "after"), [(4, 4), (1, 4)])
def test_no_test_finds_more_than_its_share_where_nothing_changed(before, after):
    """Of 30 problems with means around 0.3. The tolerance is three standard errors of 200 draws: 0.047."""
    draw = np.random.default_rng(before)
    found = []
    for _ in range(200):
        chances = draw.beta(0.9, 2.1, 30)
        one = compare_problems(*([drawn_evaluation(draw, chances, n)] for n in (before, after)))
        found.append([p is not None and p < 0.05 for p in (one.student.two_sided, one.wilcoxon.two_sided)])
    assert np.mean(found, axis=0).max() <= 0.05 + 0.047


def drawn_evaluation(draw: np.random.Generator, chances: np.ndarray, n: int) -> dict:
    right = draw.random((len(chances), n)) < chances[:, None]
    return verdicts(**{f"p{place}": "".join(np.where(row, "R", "w")) for place, row in enumerate(right)})
