"""The gains of the same rows by several benchmarks, side by side. Pure: it reads no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweep.compare.pool import Row, axes_of
from sweep.compare.statistics import mean_estimate
from sweep.compare.tables import Grid
from sweep.compare.verdict import Verdict

Gains = dict[str, Row]  # a row by the name of each benchmark that has it


def benchmark_of(verdict: Verdict) -> str:
    """Return the name of the benchmark that a verdict is of."""
    return verdict.comparison.metric.benchmark or "the first benchmark"


def overview(verdicts: Sequence[Verdict]) -> list[tuple[Mapping[str, str], Gains]]:
    """Return the axes of each row, and the row as each benchmark shows it, in the order of their first appearance.

    A row is the same by two benchmarks if its axes, its steps and its rules are.
    """
    found: dict[tuple, tuple[Mapping[str, str], Gains]] = {}
    for verdict in verdicts:
        for row in verdict.rows:
            key = tuple(sorted(row.axes.items())), row.length, row.rules
            found.setdefault(key, (row.axes, {}))[1][benchmark_of(verdict)] = row
    return list(found.values())


def overview_grid(verdicts: Sequence[Verdict]) -> Grid:
    """Return a line for each row, with its gain by each benchmark over seeds, and its interval where there are two."""
    rows = overview(verdicts)
    names = list(dict.fromkeys(axis for verdict in verdicts for axis in axes_of(verdict.rows)))
    benchmarks = [benchmark_of(verdict) for verdict in verdicts]
    lines = []
    for axes, gains in rows:
        told = [axes.get(name, "") for name in names]
        cells = [_gain(gains.get(name), verdict) for name, verdict in zip(benchmarks, verdicts, strict=True)]
        lines.append([*told, *cells])
    metric = verdicts[0].comparison.metric
    unit = " in points" if metric.is_share else ""
    title = (
        f"{verdicts[0].comparison.title}: gains in {metric.key}{unit} by benchmark\n"
        "difference from the untrained model, mean over n seeds, with its 95 % interval over seeds"
    )
    foot = ["p-values of the tables are adjusted within each benchmark, and not over all of them together."]
    return Grid(title, [*names, *benchmarks], lines, frozenset(benchmarks), foot=foot)


def _gain(row: Row | None, verdict: Verdict) -> str:
    if row is None or not row.gain:
        return ""
    metric, found = verdict.comparison.metric, mean_estimate(list(row.gain.values()))
    interval = metric.interval(found.low, found.high)
    return f"{metric.value(found.value, '+')} ({f'{interval}, ' if interval else ''}n = {found.n})"


def overview_json(verdicts: Sequence[Verdict]) -> list[dict]:
    """Return the overview: of each row its axes, and the gain by each benchmark as `rows` of a comparison have it."""
    return [
        {"axes": dict(axes), "gain": {name: gain_json(row) for name, row in gains.items()}}
        for axes, gains in overview(verdicts)
    ]


def gain_json(row: Row) -> dict | None:
    """Return the mean gain of a row over seeds, with its interval; None if no seed has one."""
    gain = mean_estimate(list(row.gain.values())) if row.gain else None
    return {name: getattr(gain, name) for name in ("value", "low", "high", "n")} if gain else None
