"""Base and final compared problem by problem, as a table and as sentences. Pure: it reads no file.

What these say of other problems is kept apart from what the other tables say of other seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sweep.compare.metrics import Metric
from sweep.compare.pool import Row, axes_of
from sweep.compare.results import OverProblems
from sweep.compare.sentences import family_of, p_value
from sweep.compare.statistics import holm
from sweep.compare.tables import INTERVAL, Grid
from sweep.compare.verdict import Verdict
from sweep.score.paired import HEADING, PairedProblems, PairedTest

NUMBERS = ["problems", "base", "final", "gain", INTERVAL, "rose", "fell", "adjusted p, t", "adjusted p, Wilcoxon", "n"]


def over_problems(verdict: Verdict) -> Iterator[tuple[Row, OverProblems]]:
    """Yield each row of a verdict of which it is known what its answers show problem by problem."""
    known = {found.cells: found for found in verdict.comparison.problems}
    for row in verdict.rows:
        found = known.get(tuple(cell.signature for cell in row.by_seed.values()))
        if found is not None:
            yield row, found


def problem_grid(verdict: Verdict) -> Grid:
    """Return a line for each row whose answers were compared problem by problem; below it why others were not."""
    names, metric = axes_of(verdict.rows), verdict.comparison.metric
    shown = [(row, found.found) for row, found in over_problems(verdict) if found.found is not None]
    adjusted = [_adjusted([getattr(found, test) for _, found in shown]) for test in ("student", "wilcoxon")]
    lines = []
    for (row, found), t, ranks in zip(shown, *adjusted, strict=True):
        told = [row.axes.get(name, "") for name in names]
        lines.append([*told, *_numbers(found, metric), p_value(t), p_value(ranks), str(len(row.gain))])
    title = (
        f"{verdict.comparison.title}: {metric.title}, problem by problem: {HEADING}\n"
        "a problem's value is its mean over answers and seeds; p two-sided, of each test adjusted by Holm over the rows"
    )
    return Grid(title, [*names, *NUMBERS], lines, frozenset(NUMBERS), foot=_foot(verdict))


def _adjusted(tests: Sequence[PairedTest]) -> list[float | None]:
    """Return the p-values of the tests, adjusted together; None for a test without one."""
    known = iter(holm([test.two_sided for test in tests if test.two_sided is not None]))
    return [None if test.two_sided is None else next(known) for test in tests]


def _numbers(found: PairedProblems, metric: Metric) -> list[str]:
    return [
        str(found.problems),
        metric.value(found.before),
        metric.value(found.after),
        metric.value(found.gain, "+"),
        metric.interval(found.low, found.high),
        str(found.risen),
        str(found.fallen),
    ]


def _foot(verdict: Verdict) -> list[str]:
    names = axes_of(verdict.rows)
    lines = [
        "An interval or a p here says what these weights would do on other problems of the kind, and nothing of other "
        "seeds."
    ]
    reasons: dict[str, list[str]] = {}
    known = [*over_problems(verdict)]
    for row, found in known:
        note = found.why_not or (found.found.note if found.found else None)
        if note:
            reasons.setdefault(note, []).append(row.told(names))
    whose = {note: "every row" if len(rows) == len(known) > 1 else ", ".join(rows) for note, rows in reasons.items()}
    return [*lines, *(f"{rows}: {note}" for note, rows in whose.items())]


def problem_lines(verdict: Verdict) -> list[str]:
    """Return a sentence for each family with rows of one seed whose answers were compared problem by problem."""
    by, metric = verdict.question.by, verdict.comparison.metric
    inner = [axis for axis in axes_of(verdict.rows) if axis not in by]
    families: dict[str, list[str]] = {}
    for row, found in over_problems(verdict):
        if len(row.final) == 1:
            families.setdefault(family_of(row, by), []).append(_said(row.told(inner) or "it", found, metric))
    return [f"{family}{metric.of_benchmark}, {HEADING}: {'; '.join(parts)}." for family, parts in families.items()]


def _said(name: str, found: OverProblems, metric: Metric) -> str:
    if (test := found.found) is None:
        return f"{name} is not compared problem by problem, because {found.why_not}"
    gain = f"{name} ended {metric.value(test.gain, '+')}{metric.unit} from its base"
    alike = "all problems changed by as much" if test.risen or test.fallen else "no problem changed"
    interval = metric.interval(test.low, test.high) or alike
    return f"{gain} ({interval}; {test.problems} problems, {test.risen} rose, {test.fallen} fell)"
