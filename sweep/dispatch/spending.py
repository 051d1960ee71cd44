"""Show the cost of a sweep's runs and the time that the rest will take, as a table, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich import box
from rich.markup import escape
from rich.table import Table

from sweep.dispatch.select import Run
from sweep.run.costs import Cost, duration, total
from sweep.run.outlook import Outlook, outlook
from sweep.shown import shown


def outlook_of(runs: Sequence[Run]) -> Outlook:
    """Return the outlook of these runs. The pace of one is estimated from similar runs of the same model."""
    return outlook(run.status for run in runs)


def summary(runs: Sequence[Run]) -> list[str]:
    """Return two lines: the cost of all runs together, and the time that the unfinished ones will still take."""
    cost = f"cost so far: {_total(runs).words()}"
    return [line for line in (cost, outlook_of(runs).words()) if line]


def summary_json(runs: Sequence[Run]) -> dict:
    """Return the same for JSON: the sum, and the seconds until the end; null with a reason if they are not known."""
    left = outlook_of(runs)
    return {"cost": asdict(_total(runs)), "seconds_left": left.until_the_end, "time_left": left.words()}


def _total(runs: Sequence[Run]) -> Cost:
    return total(run.status.cost for run in runs)


def cost_table(title: str, runs: Sequence[Run]) -> Table:
    """Return a table with a line for each run, narrow enough for 80 columns; `--json` has whole numbers."""
    costs = [run.status.cost for run in runs]
    on_gpu, again = any(cost.gpu_seconds for cost in costs), any(cost.repeated_seconds for cost in costs)
    what = f"{'GPU' if on_gpu else 'process'}-hours; tokens sampled, and of these trained on"
    table = Table(title=f"{escape(title)}: what each run cost\n{what}", title_justify="left", box=box.SIMPLE)
    table.add_column("run", overflow="fold")
    for name in ("attempts", "time", *["again"] * again, "hours", "sampled", "trained"):
        table.add_column(name, justify="right", no_wrap=True)
    for run, cost in zip(runs, costs, strict=True):
        attempts, time, repeated, *rest = _numbers(cost, on_gpu)
        table.add_row(escape(_name(run)), attempts, time, *[repeated] * again, *rest)
    return table


def _name(run: Run) -> str:
    """Return a stage's label, or a cell's axis values, with the key for axes other than model and reward."""
    if not run.entry.steps:
        return shown(run.entry.label)
    named = (value if axis in ("model", "reward") else f"{axis}={value}" for axis, value in run.entry.axes.items())
    return shown(" ".join(named))


def _numbers(cost: Cost, on_gpu: bool) -> list[str]:
    if not cost.attempts:
        return ["0", "", "", "", "", ""]
    if not cost.is_known:
        return [str(cost.attempts), "unknown", "", "", "", ""]
    hours = (cost.gpu_seconds if on_gpu else cost.process_seconds) / 3600
    at_least = "≥ " if cost.unrecorded else ""
    tokens = [f"{at_least}{_short(count)}" for count in (cost.generated_tokens, cost.trained_tokens)]
    repeated = duration(cost.repeated_seconds) if cost.repeated_seconds else ""
    return [str(cost.attempts), at_least + duration(cost.seconds), repeated, f"{at_least}{hours:.2g}", *tokens]


def _short(count: int) -> str:
    """Return a number of tokens with three digits."""
    for size, unit in ((10**9, " G"), (10**6, " M"), (10**3, " k")):
        if count >= 0.9995 * size:  # and so would be written as 1000 of the smaller unit
            return f"{count / size:.3g}{unit}"
    return str(count)
