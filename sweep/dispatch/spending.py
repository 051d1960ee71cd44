"""What the runs of a sweep cost and how long the rest will take, as a table, a line and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.markup import escape
from rich.table import Table

from sweep.dispatch.select import Run
from sweep.run.costs import Cost, duration, total
from sweep.run.outlook import Outlook, Work, outlook


def outlook_of(runs: Sequence[Run]) -> Outlook:
    """The outlook of these runs; the pace of one is guessed from those that do the same with the same model."""
    return outlook(Work(run.entry.module, run.entry.model, run.status) for run in runs)


def summary(runs: Sequence[Run]) -> list[str]:
    """What the runs cost together, and how long what is left of them will take; a line each."""
    cost = f"cost so far: {_total(runs).words()}"
    return [line for line in (cost, outlook_of(runs).words()) if line]


def summary_json(runs: Sequence[Run]) -> dict:
    """The same: the sum, and seconds until the end; null where that is not known, with the reason."""
    left = outlook_of(runs)
    return {"cost": asdict(_total(runs)), "seconds_left": left.until_the_end, "time_left": left.words()}


def _total(runs: Sequence[Run]) -> Cost:
    return total(run.status.cost for run in runs)


def cost_table(title: str, runs: Sequence[Run]) -> Table:
    """A line for each run."""
    on_gpu = any(run.status.cost.gpu_seconds for run in runs)
    unit = "GPU-hours" if on_gpu else "process-hours"
    table = Table(title=f"{escape(title)}: what each run cost; tokens generated and trained on", title_justify="left")
    table.add_column("run", overflow="fold")
    for name in ("attempts", "time", "repeated", unit, "generated", "trained on"):
        table.add_column(name, justify="right")
    for run in runs:
        table.add_row(escape(run.entry.label), *_numbers(run.status.cost, on_gpu))
    return table


def _numbers(cost: Cost, on_gpu: bool) -> list[str]:
    if not cost.attempts:
        return ["0", "", "", "", "", ""]
    if not cost.is_known:
        return [str(cost.attempts), "unknown", "", "", "", ""]
    hours = (cost.gpu_seconds if on_gpu else cost.process_seconds) / 3600
    at_least = "≥ " if cost.unrecorded else ""
    tokens = [f"{at_least}{count:,}" for count in (cost.generated_tokens, cost.trained_tokens)]
    repeated = duration(cost.repeated_seconds) if cost.repeated_seconds else ""
    return [str(cost.attempts), at_least + duration(cost.seconds), repeated, f"{at_least}{hours:.3g}", *tokens]
