"""pass@k over k, with intervals over problems."""

from __future__ import annotations

from sweep.score.grouped import Grouped, counts
from sweep.score.intervals import Interval, over_problems
from sweep.score.pass_at_k import curve_ks, passes


def pass_curve(answers: Grouped) -> dict[int, Interval]:
    """Return pass@k by k, with an interval over problems each.

    k runs over the powers of two up to the smallest number of answers to a problem, and that number itself.

    Raises:
        UserError: there is no problem, or one without an answer.
    """
    most = min(n for _, n in counts(answers).values())
    return {k: over_problems(passes(answers, k).values()) for k in curve_ks(most)}
