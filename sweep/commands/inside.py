"""Commands that show details of a sweep's runs: their cost, and the answers that they kept."""

from __future__ import annotations

import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sweep.commands.options import AsJson, Name, Output, Patterns, print_json, say
from sweep.dispatch.view import console
from sweep.errors import UserError
from sweep.plan.view import LARGEST_TABLE
from sweep.run.ledger import read_sweep
from sweep.shown import shown_lines

commands = typer.Typer()
LAST = "last"


@commands.command()
def costs(sweep: Name, patterns: Patterns = None, output_dir: Output = Path("runs"), as_json: AsJson = False) -> None:
    """What each run cost (time, GPU- or process-hours, tokens), what all cost, and how long the rest will take."""
    from sweep.dispatch.select import runs, select
    from sweep.dispatch.spending import cost_table, summary, summary_json
    from sweep.dispatch.states import look

    ledger = read_sweep(output_dir, sweep)
    seen, complaint_of_slurm = look(ledger)
    if complaint_of_slurm:
        print(shown_lines(complaint_of_slurm), file=sys.stderr)
    chosen = select(runs(ledger, seen), patterns or [])
    if as_json:
        each = [{"label": r.entry.label, "run": r.path.name, **asdict(r.status.cost)} for r in chosen]
        print_json({"sweep": sweep, "runs": each, **summary_json(chosen)})
        return
    if len(chosen) <= LARGEST_TABLE:
        console().print(cost_table(f"sweep {sweep}", chosen))
    else:
        say("\n".join(f"{run.entry.label}  {run.status.cost.words()}" for run in chosen))
    say("\n".join(summary(chosen)))


@commands.command()
def samples(
    sweep: Name,
    patterns: Patterns = None,
    output_dir: Output = Path("runs"),
    step: Annotated[str, typer.Option(metavar="N|last", help="whose answers; each run's last by default")] = LAST,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="at most so many of each run")] = 10,
    correct: Annotated[bool | None, typer.Option("--right/--wrong", help="only right ones, or only the others")] = None,
    rewarded: Annotated[
        bool | None, typer.Option("--rewarded/--unrewarded", help="only those with a reward above 0, or the others")
    ] = None,
    outcome: Annotated[
        str | None, typer.Option(help="right, wrong, unparsed, exceeded or none: as it was graded")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answers that trainings kept: question, gold answer, answer, verdict, reward, and the whole response."""
    from sweep.dispatch.answers import Wanted, answer_lines, find_answers
    from sweep.dispatch.select import runs, select

    chosen = select(runs(read_sweep(output_dir, sweep)), patterns or [])
    found = find_answers(chosen, Wanted(_step(step), correct, rewarded, outcome))
    if as_json:
        each = [
            {"label": one.run.entry.label, "run": one.run.path.name, "step": one.step, "kept": len(one.kept)}
            | {"found": len(one.rows), "answers": one.rows[:count]}
            for one in found
        ]
        print_json({"sweep": sweep, "runs": each})
        return
    for one in found:
        say(one.title(count))
        for row in one.rows[:count]:
            print("\n".join(answer_lines(row)))


def _step(typed: str) -> int | None:
    if typed == LAST:
        return None
    if not re.fullmatch(r"[1-9]\d*", typed):
        raise UserError(f"--step {typed}: a number of steps from 1 on, or {LAST}")
    return int(typed)
