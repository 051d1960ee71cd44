"""The verdict's map of models and rewards as plain HTML needs it, for readers that run no scripts. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.compare.metrics import Metric
from sweep.compare.pool import Row
from sweep.compare.statistics import mean_estimate
from sweep.compare.verdict import Verdict
from sweep.shown import shown

MODEL, REWARD = "model", "reward"


@dataclass(frozen=True)
class PlainTable:
    """A table: its title, the names of its columns, and of each row its name and its texts."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]


def plain_tables(verdict: Verdict) -> list[PlainTable]:
    """Return a table of models and rewards for each combination of the other axes: means with intervals and n."""
    groups: dict[str, list[Row]] = {}
    for row in verdict.rows:
        others = [f"{axis}={value}" for axis, value in row.axes.items() if axis not in (MODEL, REWARD) and value]
        groups.setdefault(" ".join(others), []).append(row)
    return [_table(verdict, name, rows) for name, rows in groups.items()]


def _table(verdict: Verdict, others: str, rows: list[Row]) -> PlainTable:
    metric = verdict.comparison.metric
    part = "difference, final − base" if metric.of_evaluation else "final"
    title = ", ".join(filter(None, [metric.title, part, others]))
    models, rewards = (list(dict.fromkeys(row.axes.get(axis, "") for row in rows)) for axis in (MODEL, REWARD))
    at: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        at.setdefault((row.axes.get(MODEL, ""), row.axes.get(REWARD, "")), []).append(row)
    lines = [
        (
            shown(model),
            ["; ".join(_told(row, metric) for row in at.get((model, reward), [])) or "no cell" for reward in rewards],
        )
        for model in models
    ]
    return PlainTable(shown(title), list(map(shown, rewards)), lines)


def _told(row: Row, metric: Metric) -> str:
    values = row.gain if metric.of_evaluation else row.final
    n = f"n = {len(values)}" if len(values) == len(row.by_seed) else f"n = {len(values)} of {len(row.by_seed)}"
    if not values:
        return f"none yet, {n}"
    mean, sign = mean_estimate(list(values.values())), "+" if metric.of_evaluation else ""
    interval = metric.interval(mean.low, mean.high, sign) or "no interval"
    return f"{metric.value(mean.value, sign)} ({interval}), {n}"
