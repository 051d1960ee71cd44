"""A launch on Slurm: submit the missing runs and report that, then return, or stay and watch."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.console import Console

from sweep.config.faults import plural
from sweep.dispatch.select import runs, select
from sweep.dispatch.states import look
from sweep.dispatch.submit import Prepared, Submitted, submit_prepared
from sweep.dispatch.view import live_view, suggested
from sweep.run.entry import Entry
from sweep.run.ledger import Sweep
from sweep.run.state import State
from sweep.shown import shown

WATCH_SECONDS = 2.0


def launch_on_slurm(
    prepared: Prepared, sweep: Sweep, wait: bool, screen: Console, asked: Collection[Entry] | None = None
) -> int:
    """Submit the prepared runs, report that, and watch the sweep if `wait` is set.

    Args:
        asked: the runs that are to be done in the end; None for the cells of the sweep.
    Returns:
        the exit code: 0 if all is submitted (or, after waiting, done), 1 if something is not, 130 if the view was left.
    """
    submitted = submit_prepared(prepared)
    say_what_was_submitted(submitted, sweep, screen)
    if not wait:
        return int(not submitted.complete)
    return watch(sweep, screen, left=130, asked=asked)


def say_what_was_submitted(submitted: Submitted, sweep: Sweep, screen: Console) -> None:
    """Print which runs were submitted, and why others were not."""

    def say(text: str) -> None:
        """Print a line, with control characters made visible."""
        screen.print(shown(text), soft_wrap=True, markup=False, highlight=False)

    labels = {sweep.root / e.directory: e.label for e in (*sweep.stages, *sweep.cells)}
    cells = {sweep.root / e.directory for e in sweep.cells}
    of_cells = plural(len(cells & submitted.jobs.keys()), "cell")
    of_stages = plural(len(submitted.jobs.keys() - cells), "stage")
    arrays = f", in job arrays {' '.join(submitted.arrays)}" if submitted.arrays else ""
    say(f"sweep {sweep.name}: {of_cells} and {of_stages} submitted{arrays}; runs in {sweep.root}")
    if submitted.adopted:
        others = sorted({owner for owner in submitted.adopted.values() if owner})
        whose = f" (jobs of {', '.join(others)} among them)" if others else ""
        say(f"in the queue before: {plural(len(submitted.adopted), 'run')}{whose}")
    for directory, outcome in submitted.hopeless.items():
        say(
            f"{labels[directory]}: not submitted again, it ended the same way several times in a row ({outcome}); "
            "change what it asks for or runs under, or try it once more as it was with "
            f"{suggested(f'retry {sweep.name} {directory.name} --force', sweep.root)}"
        )
    if submitted.blocked:
        say(f"{len(submitted.blocked)} runs wait for one of those")
    for why in dict.fromkeys(submitted.left.values()):
        count = plural(sum(said == why for said in submitted.left.values()), "run")
        say(
            f"{count} not submitted: {why}; when some jobs have ended, the same command goes on, and so does "
            f"{suggested(f'retry {sweep.name}', sweep.root)}"
        )
    say(f"{suggested(f'status {sweep.name}', sweep.root)} shows what becomes of them; this shell may be closed")


def watch(
    sweep: Sweep, screen: Console, words: Sequence[str] = (), left: int = 0, asked: Collection[Entry] | None = None
) -> int:
    """Show the sweep, or those of its runs that match all `words`, until all have ended.

    While Slurm does not answer, the states that the run directories hold are shown.

    Returns:
        the exit code: 0 where every cell is done (or, if given, every run of `asked`), 1 where one is not, 130 after
        Ctrl-C, `left` after the key q.
    Raises:
        UserError: the words match nothing.
    """
    wanted = sweep.cells if asked is None else asked
    try:
        with live_view(sweep, screen, can_leave=True) as view:
            while True:
                seen, complaint = look(sweep)
                chosen = select(runs(sweep, seen), words)
                view.show([run.status for run in chosen], complaint)
                if not complaint and all(run.status.ended for run in chosen):
                    return int(any(run.status.state != State.DONE for run in chosen if run.entry in wanted))
                if not view.pause(WATCH_SECONDS):
                    return left
    except KeyboardInterrupt:
        return 130
