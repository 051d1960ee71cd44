"""Whether the same problems are answered better after training than before: tests with the problem as the unit.

They speak of these runs on other problems. They do not speak of other trainings, whose unit is the seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweep.errors import UserError
from sweep.run.answers import Answer
from sweep.score.grouped import Grouped, check_same_problems
from sweep.score.means import accuracies

HEADING = "these runs, other problems"
LEAST = 6  # with fewer problems Wilcoxon's two-sided p cannot be below 0.05
MOST_EXACT = 50  # changed problems up to which Wilcoxon's p is counted out
DIGITS = 12  # differences are rounded to so many, or equal ones would be told apart by rounding errors


@dataclass(frozen=True)
class PairedTest:
    """A test of the differences: its statistic, and p two-sided, and one-sided for a rise.

    All are None if the differences show nothing to test: none for Wilcoxon's test, no spread for Student's.
    """

    statistic: float | None
    two_sided: float | None
    rise: float | None


@dataclass(frozen=True)
class PairedProblems:
    """Base and final accuracy over the same problems, compared problem by problem.

    heading: what the tests speak of. problems: their number. before, after, gain: means over problems. low, high: the
    95 % interval of the gain by Student's t, None without spread. risen, fallen, same: numbers of problems. exact: True
    if Wilcoxon's p is counted out, False if it is the normal approximation. note: what Wilcoxon's test left out; None
    if it took every answer.
    """

    heading: str
    problems: int
    before: float
    after: float
    gain: float
    low: float | None
    high: float | None
    risen: int
    fallen: int
    same: int
    student: PairedTest
    wilcoxon: PairedTest
    exact: bool
    note: str | None


def over_seeds(evaluations: Sequence[Grouped]) -> dict[str, float]:
    """Return the mean accuracy of each problem over the evaluations of several runs. Runs weigh equally.

    Raises:
        UserError: there is none, or they are not of the same problems.
    """
    if not evaluations:
        raise UserError("there is no evaluation to average over seeds")
    for other in evaluations[1:]:
        check_same_problems(evaluations[0], other)
    each = [accuracies(one) for one in evaluations]
    return {problem: math.fsum(one[problem] for one in each) / len(each) for problem in each[0]}


def compare_problems(base: Sequence[Grouped], final: Sequence[Grouped]) -> PairedProblems:
    """Test whether the accuracy on problems rose from `base` to `final`, each the evaluations of one or more runs.

    A problem's accuracy is its mean over runs. Runs that share a baseline have it once in `base`, not once for each.

    The law of Student's test: the differences are independent draws from a wider set of problems, and their mean is
    nearly normal. Simulated where nothing changed, with 30 problems and as many answers before as after, its p is below
    0.05 at most 6 times in 100 (benchmarks/coverage.py), and far more seldom where nearly all answers are wrong. With
    one answer before, 16 after and an accuracy of 0.05 it is so up to 16 times in 100, and 21 times one-sided.

    Wilcoxon's law: if nothing changed, a difference of any size is as likely to be a rise as a fall. It holds only for
    means over as many answers before as after: with one before and 16 after, its p is below 0.05 up to 38 times in 100
    where nothing changed. With as many it is so at most 6 times. Of the side that has more, it therefore takes the
    first answers alone. Problems that did not change are ranked and then left out (Pratt, 1959, Journal of the American
    Statistical Association 54). Where at most MOST_EXACT problems changed, its p is counted out over all signs; else it
    is scipy's normal approximation.

    Raises:
        UserError: the problems are not the same, or are fewer than LEAST.
    """
    before, after = over_seeds(base), over_seeds(final)
    check_same_problems(before, after)
    n = len(before)
    if n < LEAST:
        raise UserError(
            f"a paired test needs at least {LEAST} problems, and this evaluation has {n}; with so few no result could"
            " be told from chance, so evaluate with more problems"
        )
    differences = _differences(before, after)
    student, half = _student(differences)
    start, end = (math.fsum(values.values()) / n for values in (before, after))
    wilcoxon, exact, note = _wilcoxon(base, final)
    return PairedProblems(
        heading=HEADING,
        problems=n,
        before=start,
        after=end,
        gain=end - start,
        low=None if half is None else end - start - half,
        high=None if half is None else end - start + half,
        risen=int((differences > 0).sum()),
        fallen=int((differences < 0).sum()),
        same=int((differences == 0).sum()),
        student=student,
        wilcoxon=wilcoxon,
        exact=exact,
        note=note,
    )


def _differences(before: Mapping[str, float], after: Mapping[str, float]) -> np.ndarray:
    return np.round([after[problem] - before[problem] for problem in before], DIGITS)


def _student(differences: np.ndarray) -> tuple[PairedTest, float | None]:
    """Return Student's test, and half the width of the 95 % interval of the mean."""
    from scipy.special import stdtr, stdtrit

    if np.ptp(differences) == 0:
        return PairedTest(None, None, None), None
    df = len(differences) - 1
    error = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    t = float(np.mean(differences)) / error
    test = PairedTest(t, float(2 * stdtr(df, -abs(t))), float(stdtr(df, -t)))
    return test, float(stdtrit(df, 0.975)) * error


def _wilcoxon(base: Sequence[Grouped], final: Sequence[Grouped]) -> tuple[PairedTest, bool, str | None]:
    """Return Wilcoxon's test over as many answers before as after, whether it is exact, and what was left out."""
    taken = {problem: _even(base, final, problem) for problem in base[0]}
    if not all(before and after for before, after in taken.values()):
        note = (
            "there is no Wilcoxon test: it needs as many answers before as after and as many from each run, and some"
            " problem has too few; evaluate with more samples per problem"
        )
        return PairedTest(None, None, None), True, note
    used = sum(len(before) + len(after) for before, after in taken.values())
    there = sum(len(those) for one in (*base, *final) for those in one.values())
    left_out = f"Wilcoxon's test takes {used} of the {there} answers, because it needs as many before as after"
    before, after = ({problem: sides[side] for problem, sides in taken.items()} for side in (0, 1))
    differences = _differences(accuracies(before), accuracies(after))
    exact = int(np.count_nonzero(differences)) <= MOST_EXACT
    return (_counted_out if exact else _approximated)(differences), exact, left_out if used < there else None


def _even(base: Sequence[Grouped], final: Sequence[Grouped], problem: str) -> tuple[list[Answer], list[Answer]]:
    """Return the first answers to a problem, as many before as after and as many from each run of a side."""
    together = math.lcm(len(base), len(final))
    rounds = min(len(one[problem]) * len(side) // together for side in (base, final) for one in side)
    before, after = (
        [answer for one in side for answer in one[problem][: rounds * together // len(side)]] for side in (base, final)
    )
    return before, after


def _counted_out(differences: np.ndarray) -> PairedTest:
    """Return Wilcoxon's test; p is the share of all signs of the changed problems that give as large a rank sum."""
    from scipy.stats import rankdata

    if not differences.any():
        return PairedTest(None, None, None)
    ranks = np.rint(2 * rankdata(np.abs(differences))).astype(int)  # twice the ranks: ties have halves
    changed = ranks[differences != 0]
    chances = np.zeros(changed.sum() + 1)  # of each sum of the ranks of risen problems
    chances[0] = 1.0
    for rank in changed:
        risen = np.concatenate((np.zeros(rank), chances[: len(chances) - rank]))
        chances = (chances + risen) / 2
    found = int(ranks[differences > 0].sum())
    at_least, at_most = float(chances[found:].sum()), float(chances[: found + 1].sum())
    return PairedTest(found / 2, min(1.0, 2 * min(at_least, at_most)), min(1.0, at_least))


def _approximated(differences: np.ndarray) -> PairedTest:
    from scipy.stats import wilcoxon

    # With `alternative="greater"` scipy's statistic is the sum of the ranks of the problems that rose.
    two, rise = (
        wilcoxon(differences, zero_method="pratt", alternative=alternative, method="approx")
        for alternative in ("two-sided", "greater")
    )
    return PairedTest(float(rise.statistic), float(two.pvalue), float(rise.pvalue))
