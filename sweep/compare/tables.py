"""The tables of a verdict as texts in columns, for every output format. Pure: it reads no file and prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sweep.compare.contrasts import UNTESTED, Contrast, Tested
from sweep.compare.metrics import ACCURACY
from sweep.compare.pool import Row, axes_of
from sweep.compare.sentences import family_of, p_value, share
from sweep.compare.statistics import mean_estimate
from sweep.compare.verdict import Verdict
from sweep.compare.warnings import EVALUATED

INTERVAL = "95 % interval"
NOT_ASKED = "not asked"  # the verdict across families if neither family's contrast is told apart


@dataclass(frozen=True)
class Grid:
    """A table: its title, columns, rows as texts, and lines below it.

    numbers: the columns that are aligned right. breaks: the places of rows after which another kind of row begins.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    numbers: frozenset[str] = frozenset()
    breaks: frozenset[int] = frozenset()
    foot: list[str] = field(default_factory=list)


def result_grid(verdict: Verdict) -> Grid:
    """Return a line for each row of cells: base, final, difference with its interval, n.

    If the untrained model has no value of the metric: final with its interval, n.
    """
    metric, rows = verdict.comparison.metric, verdict.rows
    names = axes_of(rows)
    apart = _apart(rows, names)
    numbers = ["base", "final", "difference", INTERVAL, "n"] if metric.of_evaluation else ["final", INTERVAL, "n"]
    code = ["base code", "final code"] if metric.name == ACCURACY and metric.step is None else []
    lines = [
        [*(row.axes.get(name, "") for name in names), *(MEASURES[name](row) for name in apart), *_numbers(row, verdict)]
        + [_mean_code(row, f"{which.split()[0]}_code") for which in code]
        for row in rows
    ]
    title = f"{verdict.comparison.title}: {metric.title}, means over n seeds"
    if metric.of_evaluation:
        title += "\ndifference and interval: over seeds, given this baseline evaluation"
    return Grid(title, [*names, *apart, *numbers, *code], lines, frozenset([*numbers, *code]), foot=_foot(verdict))


def _foot(verdict: Verdict) -> list[str]:
    if verdict.bound is None:
        return []
    bound = verdict.comparison.metric.value(verdict.bound)
    return [
        f"A value is the share of {verdict.answers:,} graded answers. Sampling these again would move it by up to "
        f"±{bound} points (95 %, binomial bound at a share of one half); no interval over seeds contains that."
    ]


# Further properties that all cells of a row share. They are shown if the axes do not imply them.
MEASURES = {
    "steps": lambda row: str(row.length),
    "evaluation": lambda row: row.evaluation or "",
    "rules": lambda row: row.rules,
}


def _apart(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """Return the measures that must be shown because rows differ in them although their axes do not say so.

    Steps and evaluation should be the same for every model and reward, because these rows are read side by side. The
    rules of a training follow from its reward.
    """
    said = [axis for axis in names if axis.partition(".")[0] in EVALUATED]
    shown: Mapping[str, Sequence[str]] = {"steps": [], "evaluation": said, "rules": names}
    known = [row for row in rows if row.base or row.final]

    def values(row: Row, name: str) -> tuple[str, ...]:
        return tuple(row.axes.get(axis, "") for axis in shown[name])

    return [
        name
        for name, measure in MEASURES.items()
        if len({(*values(row, name), measure(row)) for row in known}) > len({values(row, name) for row in known})
    ]


def _numbers(row: Row, verdict: Verdict) -> list[str]:
    metric = verdict.comparison.metric
    shown = row.gain if metric.of_evaluation else row.final
    estimate = mean_estimate(list(shown.values())) if shown else None
    sign = "+" if metric.of_evaluation else ""
    interval = metric.interval(estimate.low, estimate.high, sign) if estimate else ""
    n = str(len(shown)) if len(shown) == len(row.by_seed) else f"{len(shown)} of {len(row.by_seed)}"
    final = metric.value(_mean(row.final.values()))
    if not metric.of_evaluation:
        return [final, interval, n]
    difference = metric.value(estimate.value if estimate else None, "+")
    return [metric.value(_mean(row.base.values())), final, difference, interval, n]


def _mean_code(row: Row, name: str) -> str:
    mean = _mean(getattr(cell, name) for cell in row.by_seed.values())
    return "" if mean is None else f"{100 * mean:.1f}"


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def contrast_grid(verdict: Verdict) -> Grid | None:
    """Return a line for each contrast and for each control's own change from its base; None if there is neither."""
    found, metric = verdict.findings, verdict.comparison.metric
    if not found.contrasts and not found.changes:
        return None
    inner = [axis for axis in axes_of(verdict.rows) if axis not in verdict.question.by]
    with_share = any(contrast.shares for contrast in found.contrasts) and metric.of_evaluation
    columns = [*verdict.question.by, "contrast", "difference", INTERVAL, "n", "adjusted p", "verdict"]
    lines = []
    for contrast in found.contrasts:
        what = f"{contrast.row.told(inner) or 'the row'} − {contrast.control.told(inner) or 'its control'}"
        what += "" if contrast.paired else " (unpaired)"
        lines.append(_line(contrast.row, what, contrast, verdict) + [_share(contrast)] * with_share)
    for change in found.changes:
        what = f"{change.row.told(inner) or 'the control'} − its base"
        lines.append(_line(change.row, what, change, verdict) + [""] * with_share)
    chosen = " that --where left" if verdict.question.where else ""
    title = (
        f"contrasts of final {metric.title}, over the seeds that both have\n"
        f"intervals are 95 % each, not joint; p adjusted by Holm over all m = {found.tests} tests{chosen} here"
    )
    numbers = frozenset(["difference", INTERVAL, "n", "adjusted p", SHARE])
    breaks = frozenset([len(found.contrasts) - 1] if found.contrasts and found.changes else [])
    foot = [f"{SHARE[:5]}: of the gain that the true reward gives, what its control gives (95 %, Fieller)"] * with_share
    return Grid(title, columns + [SHARE] * with_share, lines, numbers, breaks, foot)


SHARE = "share, %"


def _line(row: Row, what: str, tested: Tested, verdict: Verdict) -> list[str]:
    family = [row.axes.get(axis, "") for axis in verdict.question.by]
    return [*family, what, *_tested(tested, verdict)]


def _tested(tested: Tested, verdict: Verdict) -> list[str]:
    estimate, metric = tested.estimate, verdict.comparison.metric
    seen = metric.value(estimate.value, "+"), metric.interval(estimate.low, estimate.high)
    return [*seen, str(estimate.n), p_value(tested.adjusted), _said(tested)]


def _said(tested: Tested) -> str:
    if tested.verdict != UNTESTED:
        return tested.verdict
    if tested.estimate.n < 2:
        return "one seed"
    return NOT_ASKED if tested.estimate.p is not None else "no spread"


def _share(contrast: Contrast) -> str:
    return share(contrast).replace(" %", "") if contrast.estimate.n > 1 else ""


def across_grid(verdict: Verdict) -> Grid | None:
    """Return a line for each comparison of one contrast between two families; None if none of them can be tested."""
    found, by = verdict.findings, verdict.question.by
    if not found.tests_across:
        return None
    inner = [axis for axis in axes_of(verdict.rows) if axis not in by]
    lines = []
    for one in found.across:
        what = f"{one.first.row.told(inner)} − {one.first.control.told(inner)}"
        families = f"{family_of(one.first.row, by)} − {family_of(one.second.row, by)}"
        lines.append([families, what, *_tested(one, verdict)])
    title = (
        "the same contrasts across families, by Welch; asked where one of both is told apart\n"
        f"intervals are 95 % each, not joint; p adjusted by Holm over the m = {found.tests_across} tests here"
    )
    columns = ["families", "contrast", "difference", INTERVAL, "n", "adjusted p", "verdict"]
    return Grid(title, columns, lines, frozenset(["difference", INTERVAL, "n", "adjusted p"]))


def grids(verdict: Verdict) -> list[Grid]:
    """Return every table of the verdict that has rows, in order."""
    made = [result_grid(verdict), contrast_grid(verdict), across_grid(verdict)]
    return [grid for grid in made if grid is not None]
