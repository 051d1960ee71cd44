"""A launch on Slurm: submit what is missing, say so, and return; or stay and watch."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from sweep.dispatch.states import statuses
from sweep.dispatch.submit import Submitted, submit
from sweep.dispatch.view import live_view, suggested
from sweep.plan.faults import counted
from sweep.plan.plan import Plan
from sweep.run.ledger import Sweep
from sweep.run.state import State

WATCH_SECONDS = 2.0


def launch_on_slurm(plan: Plan, sweep: Sweep, code: Path, screen: Console) -> int:
    """Returns the exit code: 0 where all is submitted (or, having waited, done), 1 where something is not."""
    submitted = submit(plan.tasks, plan.root, code, plan.name)
    say_what_was_submitted(submitted, sweep, screen)
    if not plan.cells[0].config.cluster.wait:
        return int(bool(submitted.hopeless))
    return watch(sweep, screen, only_until_ended=True)


def say_what_was_submitted(submitted: Submitted, sweep: Sweep, screen: Console) -> None:
    def say(text: str) -> None:
        screen.print(text, soft_wrap=True, markup=False, highlight=False)

    labels = {sweep.root / e.directory: e.label for e in (*sweep.stages, *sweep.cells)}
    cells = {sweep.root / e.directory for e in sweep.cells}
    of_cells = counted(len(cells & submitted.jobs.keys()), "cell")
    of_stages = counted(len(submitted.jobs.keys() - cells), "stage")
    arrays = f", in job arrays {' '.join(submitted.arrays)}" if submitted.arrays else ""
    say(f"sweep {sweep.name}: {of_cells} and {of_stages} submitted{arrays}; runs in {sweep.root}")
    if submitted.adopted:
        say(f"in the queue before: {counted(len(submitted.adopted), 'run')}")
    for directory, outcome in submitted.hopeless.items():
        say(
            f"{labels[directory]}: not submitted again, it ended the same way several times in a row ({outcome}); "
            f"{suggested(f'retry {sweep.name} {directory.name} --force', sweep.root)} does all the same"
        )
    if submitted.blocked:
        say(f"{len(submitted.blocked)} runs wait for one of those")
    say(f"{suggested(f'status {sweep.name}', sweep.root)} shows what becomes of them; this shell may be closed")


def watch(sweep: Sweep, screen: Console, only_until_ended: bool) -> int:
    """Show the sweep until all has ended, or for ever; returns 0 where every cell is done, 130 after Ctrl-C."""
    try:
        with live_view(f"sweep {sweep.name}", screen) as show:
            while True:
                stages, cells = statuses(sweep)
                show([*stages, *cells])
                if only_until_ended and all(s.ended for s in (*stages, *cells)):
                    return int(any(s.state != State.DONE for s in cells))
                time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return 130
