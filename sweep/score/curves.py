"""pass@k over k, with intervals over problems."""

from __future__ import annotations

import math

from sweep.score.grouped import Grouped, check_same_problems, counts
from sweep.score.intervals import Interval, over_problems
from sweep.score.pass_at_k import curve_ks, passes


def pass_curve(first: Grouped, *others: Grouped) -> dict[int, Interval]:
    """Return pass@k by k, with an interval over problems each.

    k runs over the powers of two up to the smallest number of answers to a problem, and that number itself. With the
    evaluations of several runs, a problem's pass@k is its mean over them; runs weigh equally.

    Raises:
        UserError: there is no problem, or one without an answer; or the evaluations are not of the same problems.
    """
    evaluations = (first, *others)
    for other in others:
        check_same_problems(first, other)
    most = min(n for answers in evaluations for _, n in counts(answers).values())
    found = {}
    for k in curve_ks(most):
        each = [passes(answers, k) for answers in evaluations]
        found[k] = over_problems([math.fsum(one[problem] for one in each) / len(each) for problem in first])
    return found
