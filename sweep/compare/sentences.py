"""The verdict as sentences, one for each family. Pure: it reads no file.

A sentence contains "more" or "less" only if the adjusted p-value is below 0.05.
"""

from __future__ import annotations

from collections.abc import Sequence

from sweep.compare.contrasts import NOT_APART, UNTESTED, Change, Contrast, Findings, Tested
from sweep.compare.metrics import Metric
from sweep.compare.pool import Row, axes_of
from sweep.compare.statistics import MOST_SEEDS


def family_of(row: Row, by: Sequence[str]) -> str:
    """Return the name of a row's family: its values on the axes that make a family."""
    return row.named(by) or "all"


def sentences(rows: Sequence[Row], findings: Findings, by: Sequence[str], metric: Metric) -> list[str]:
    """Return one sentence for each family, in the order of the rows."""
    inner = [axis for axis in axes_of(rows) if axis not in by]
    return [_sentence(family, rows, findings, by, inner, metric) for family in _families(rows, by)]


def _families(rows: Sequence[Row], by: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(family_of(row, by) for row in rows))


def _sentence(
    family: str, rows: Sequence[Row], findings: Findings, by: Sequence[str], inner: Sequence[str], metric: Metric
) -> str:
    of_all: list[Contrast | Change] = [*findings.contrasts, *findings.changes]
    tested = [one for one in of_all if family_of(one.row, by) == family]
    parts = [_of_contrast(one, inner, metric) for one in tested if isinstance(one, Contrast)]
    lone: dict[str, list[str]] = {}
    for alone in findings.alone:
        if family_of(alone.row, by) == family:
            lone.setdefault(alone.reason, []).append(alone.row.told(inner) or "it")
    parts += [f"{', '.join(named)} cannot be compared with a control, because {why}" for why, named in lone.items()]
    parts += [_of_change(one, inner, metric) for one in tested if isinstance(one, Change)]
    if any(one.estimate.n == 1 for one in tested):
        parts.append("one seed says what these runs did, and cannot tell what another seed would do")
    if not parts:
        parts = ["there is a control and nothing to compare with it"]
    return f"{family}: {'; '.join(parts)}."


def _of_contrast(contrast: Contrast, inner: Sequence[str], metric: Metric) -> str:
    row, control = contrast.row.told(inner), contrast.control.told(inner)
    said = _said(contrast, row or "it", control or "its control", metric)
    if not contrast.paired:
        said += "; no seed is common to both, so that this is Welch's test of unpaired seeds"
    return said + _share(contrast, control)


def _said(tested: Tested, subject: str, other: str, metric: Metric) -> str:
    """Return the result of a test of `subject` against `other`, with its numbers."""
    seen = f"{metric.value(tested.estimate.value, '+')}{metric.unit}"
    if tested.verdict == UNTESTED:
        if tested.estimate.n == 1:
            return f"{subject} ended {seen} from {other} with n = 1"
        return (
            f"{subject} ended {seen} from {other} in each of {tested.estimate.n} seeds, which leaves no spread to "
            "judge by"
        )
    interval = metric.interval(tested.estimate.low, tested.estimate.high)
    numbers = f"{interval}, n = {tested.estimate.n}, adjusted p {p_value(tested.adjusted)}"
    if tested.verdict == NOT_APART:
        return f"{subject} is {NOT_APART} from {other} ({seen}, {numbers}){_what_it_would_take(tested, metric)}"
    amount = f"{metric.value(abs(tested.estimate.value))}{metric.unit}"
    return f"{subject} ends with {amount} {tested.verdict} than {other} ({numbers})"


def _what_it_would_take(tested: Tested, metric: Metric) -> str:
    """Return the smallest difference that such a test finds, and the seeds that the observed difference would need."""
    if isinstance(tested, Change) and tested.held_back:
        bound = f"{metric.value(tested.bound)}{metric.unit}"
        return f", because sampling the base's answers again may move it by up to {bound}"
    if tested.detectable is None:
        return ""
    shown = f"{metric.value(tested.detectable)}{metric.unit}"
    needed = tested.seeds_needed
    seeds = f"over {MOST_SEEDS:,}" if needed is None else f"{needed:,}"
    return (
        f", where 80 % power at 0.05/{tested.tests} would have shown {shown} and the difference seen would need "
        f"{seeds} seeds"
    )


def p_value(p: float | None) -> str:
    """Return a p-value as text; "" for None."""
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def share(contrast: Contrast) -> str:
    """Return the fraction of the true reward's gain that the control also gives, with its interval, in %.

    "" if the row does not have the true reward, "undefined" if the fraction cannot be computed.
    """
    if not contrast.shares:
        return ""
    ratio = contrast.share
    if ratio is None:
        return "undefined"
    value, low, high = (f"{100 * number:.0f}" for number in (ratio.value, ratio.low, ratio.high))
    return f"{value} % ({low} … {high})"


def _share(contrast: Contrast, control: str) -> str:
    if not contrast.shares or contrast.estimate.n < 2 or not contrast.row.gain:
        return ""
    given = share(contrast)
    if contrast.share is None:
        why = "not told apart from 0" if sum(contrast.row.gain.values()) >= 0 else "a loss"
        return f"; which share of its gain {control} gives is undefined, as that gain is {why}"
    return f"; of its gain {control} gives {given}"


def _of_change(change: Change, inner: Sequence[str], metric: Metric) -> str:
    return _said(change, f"{change.row.told(inner) or 'the control'} itself", "its base", metric)
