"""Tables for options of `compare`: every seed by itself, and the cost of each row. Pure: it reads no file."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.compare.pool import SEED, Row, axes_of
from sweep.compare.tables import Grid
from sweep.compare.verdict import Verdict
from sweep.run.costs import Cost, duration, total


def seed_grid(verdict: Verdict) -> Grid:
    """Return a line for each seed of each row, the worst first: by difference, or by value if there is no base."""
    metric, names = verdict.comparison.metric, axes_of(verdict.rows)
    shown = ["base", "final", "difference"] if metric.of_evaluation else ["final"]
    lines, breaks = [], []
    for row in verdict.rows:
        for seed in _from_the_worst(row, row.gain if metric.of_evaluation else row.final):
            values = {"base": row.base.get(seed), "final": row.final.get(seed), "difference": row.gain.get(seed)}
            numbers = [metric.value(values[name], "+" if name == "difference" else "") for name in shown]
            lines.append([*(row.axes.get(name, "") for name in names), str(seed), *numbers])
        breaks.append(len(lines) - 1)
    title = f"{verdict.comparison.title}: {metric.title} of each seed, the lowest of a row first"
    return Grid(title, [*names, SEED, *shown], lines, frozenset([SEED, *shown]), frozenset(breaks[:-1]))


def _from_the_worst(row: Row, values: dict[int, float]) -> list[int]:
    """Return the seeds of a row by their values, lowest first; seeds without a value come last."""
    return sorted(row.by_seed, key=lambda seed: (seed not in values, values.get(seed, 0.0), seed))


def mean_cost(row: Row) -> tuple[Cost, int] | None:
    """Return the summed cost of those cells of a row whose cost is fully recorded, and their number; None if there are
    none.
    """
    known = [cell.cost for cell in row.by_seed.values() if cell.cost.is_known and not cell.cost.unrecorded]
    return (total(known), len(known)) if known else None


def cost_grid(verdict: Verdict) -> Grid:
    """Return a line for each row with the mean cost of a cell, over the cells whose cost is fully recorded."""
    names = axes_of(verdict.rows)
    costs = [mean_cost(row) for row in verdict.rows]
    unit = "GPU-hours" if any(cost and cost[0].gpu_seconds for cost in costs) else "process-hours"
    columns = ["n", "time", unit, "generated", "trained on"]
    lines = [
        [*(row.axes.get(name, "") for name in names), *_numbers(cost, unit)]
        for row, cost in zip(verdict.rows, costs, strict=True)
    ]
    title = f"{verdict.comparison.title}: what a cell cost, means over n seeds; tokens generated and trained on"
    return Grid(title, [*names, *columns], lines, frozenset(columns))


def _numbers(cost: tuple[Cost, int] | None, unit: str) -> Sequence[str]:
    if cost is None:
        return ["0", "unknown", "", "", ""]
    whole, n = cost
    seconds = whole.gpu_seconds if unit == "GPU-hours" else whole.process_seconds
    tokens = [f"{round(count / n):,}" for count in (whole.generated_tokens, whole.trained_tokens)]
    return [str(n), duration(whole.seconds / n), f"{seconds / n / 3600:.3g}", *tokens]


def cost_lines(verdict: Verdict) -> list[str]:
    """Return the cost of all runs of the sweeps as sentences; no sentence if no run has begun."""
    whole, stages = verdict.comparison.cost, verdict.comparison.cost_of_stages
    if not whole.attempts:
        return []
    lines = [f"cost of all runs: {whole.words()}"]
    if stages.is_known:
        lines.append(f"of these, the stages (baselines, labels, evaluations) took {duration(stages.seconds)}")
    return lines
