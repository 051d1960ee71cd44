"""Commands that show the runs of a sweep, stop them, start them again, and remove them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from sweep.commands.options import AsJson, Name, Output, Patterns, print_json, say
from sweep.config.faults import plural
from sweep.dispatch.plain import plain_line
from sweep.dispatch.view import console, print_all, suggested
from sweep.errors import UserError
from sweep.plan.view import LARGEST_TABLE
from sweep.run.directory import RunDirectory
from sweep.run.ledger import read_sweep
from sweep.run.state import State
from sweep.shown import human_bytes, shown_lines

commands = typer.Typer()


@commands.command()
def status(
    sweep: Name,
    patterns: Patterns = None,
    output_dir: Output = Path("runs"),
    as_json: AsJson = False,
    watching: Annotated[bool, typer.Option("--watch", "-w", help="the same as the command watch")] = False,
) -> None:
    """Every stage and cell: state, step, time left, reward, accuracy. `--json` says more."""
    from sweep.dispatch.select import runs, select
    from sweep.dispatch.spending import summary, summary_json
    from sweep.dispatch.states import look

    if watching and as_json:
        raise typer.BadParameter("--watch goes on until every run has ended, --json says how it is now: leave one out")
    if watching:
        watch(sweep, patterns, output_dir)
    ledger = read_sweep(output_dir, sweep)
    seen, complaint_of_slurm = look(ledger)
    if complaint_of_slurm:
        print(shown_lines(complaint_of_slurm), file=sys.stderr)
    chosen = select(runs(ledger, seen), patterns or [])
    statuses = [run.status for run in chosen]
    if as_json:
        print_json({"sweep": sweep, "runs": [s.as_json() for s in statuses], **summary_json(chosen)})
        return
    cost, *left = summary(chosen)
    if sys.stdout.isatty() and len(statuses) <= LARGEST_TABLE:
        print_all(ledger, statuses, console())
        say(cost)  # the time left is printed above the table
    else:
        print("\n".join(map(plain_line, statuses)))
        say("\n".join([cost, *left]))


@commands.command()
def watch(sweep: Name, patterns: Patterns = None, output_dir: Output = Path("runs")) -> None:
    """Show the runs until all have ended: state, step, time left, reward and accuracy over the steps.

    What needs attention comes first. In a terminal the keys n and p turn pages and q leaves; elsewhere it prints a line
    for each change. Ends with 0 where every cell is done, 1 where one is not, 130 after Ctrl-C.
    """
    from sweep.dispatch import remote

    raise typer.Exit(remote.watch(read_sweep(output_dir, sweep), console(), patterns or []))


@commands.command()
def logs(
    sweep: Name,
    patterns: Patterns = None,
    output_dir: Output = Path("runs"),
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on until Ctrl-C")] = False,
) -> None:
    """The log of one run. A terminal is shown control characters as `\\x1b`; a file or a pipe gets them as they are."""
    from sweep.dispatch.manage import log_lines

    visible = shown_lines if sys.stdout.isatty() else str
    try:
        for line in log_lines(read_sweep(output_dir, sweep), patterns or [], follow):
            print(visible(line), flush=True)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@commands.command()
def cancel(sweep: Name, patterns: Patterns = None, output_dir: Output = Path("runs")) -> None:
    """Stop runs, queued or running; those that train write a checkpoint first.

    Says what was not stopped and why. Ends with 1 where cells were named and none was stopped.
    """
    from sweep.dispatch import manage
    from sweep.dispatch.select import counted_states

    done = manage.cancel(read_sweep(output_dir, sweep), patterns or [])
    for run in done.stopped:
        say(f"cancelled {run.entry.label}" + (f" (job {run.status.job})" if run.status.job else ""))
    for run, why in done.left:
        if patterns or not run.status.ended:
            say(f"not stopped: {run.entry.label}: {why}")
    if not done.stopped:
        print(f"nothing was stopped: {counted_states([run for run, _ in done.left])}")
    failed = any(not run.status.ended and not run.is_to_come for run, _ in done.left)
    raise typer.Exit(int(failed or (bool(patterns) and not done.stopped)))


@commands.command()
def retry(
    sweep: Name,
    patterns: Patterns = None,
    output_dir: Output = Path("runs"),
    failed: Annotated[bool, typer.Option("--failed", help="only those that failed, or wait for one that did")] = False,
    timeout: Annotated[bool, typer.Option("--timeout", help="only those that timed out")] = False,
    oom: Annotated[bool, typer.Option("--oom", help="only those that ran out of memory")] = False,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="resources.*, cluster.*, …; again for more")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="also what ended the same way several times in a row")] = False,
) -> None:
    """Submit again what did not end well, with the stages it needs; it goes on from its last checkpoint."""
    from sweep.dispatch import manage
    from sweep.dispatch.remote import say_what_was_submitted
    from sweep.dispatch.select import counted_states, runs, select
    from sweep.dispatch.submit import Submitted

    ledger = read_sweep(output_dir, sweep)
    wanted = {State.FAILED: failed, State.TIMED_OUT: timeout, State.OUT_OF_MEMORY: oom}
    chosen = [state for state, is_wanted in wanted.items() if is_wanted]
    submitted = manage.retry(ledger, patterns or [], chosen, change or [], force)
    if submitted == Submitted():
        options = [f"--{name}" for name, on in (("failed", failed), ("timeout", timeout), ("oom", oom)) if on]
        given = f" with {' '.join(options)}" if options else ""
        print(f"nothing to retry{given}: {counted_states(select(runs(ledger), patterns or []))}")
        return
    say_what_was_submitted(submitted, ledger, console())
    raise typer.Exit(int(not submitted.complete))


@commands.command()
def sync(
    sweep: Name,
    patterns: Patterns = None,
    output_dir: Output = Path("runs"),
    check: Annotated[bool, typer.Option("--check", help="change nothing; name what differs")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="write what cannot be mended under a new id; nothing is deleted")
    ] = False,
    disabled: Annotated[
        bool, typer.Option("--disabled", help="also what was launched with tracking.mode=disabled")
    ] = False,
) -> None:
    """Bring the trainings to W&B as metrics.jsonl has them: after an outage, after training offline, after a kill.

    Ends with 1 where one could not be sent, or differs from what the server has.
    """
    from sweep.dispatch.select import runs, select
    from sweep.track.outcome import total
    from sweep.track.sync import How, Training
    from sweep.track.sync import sync as sync_trainings  # this command is called `sync` as well

    if check and rebuild:
        raise typer.BadParameter("--check changes nothing, and --rebuild does; leave one out")
    ledger = read_sweep(output_dir, sweep)
    found = {run.entry.directory: run for run in runs(ledger)}
    cells = {entry.directory: entry.training for entry in ledger.cells}
    chosen = [run.entry.directory for run in select([*found.values()], patterns or [])]
    shown = [found[training] for training in dict.fromkeys(cells[one] for one in chosen if one in cells)]
    if not shown:
        raise UserError("nothing of this is a training, and W&B is sent trainings alone")
    trainings = [Training(run.entry.label, RunDirectory(run.path), run.status.state) for run in shown]
    outcomes = []
    try:
        how = How(check, rebuild, disabled, _contrasts(output_dir, sweep))
        for outcome in sync_trainings(trainings, output_dir, how):
            print(outcome.line, flush=True)
            outcomes.append(outcome)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        raise typer.Exit(130) from None
    print("\n".join(total(sweep, outcomes)))
    raise typer.Exit(int(not all(outcome.kind.is_well for outcome in outcomes)))


def _contrasts(output_dir: Path, sweep: str) -> dict[str, dict[str, float | str]]:
    """Return by a cell's signature its contrast to a random reward, with the keys of the summary of its W&B run."""
    from sweep.compare.by_cell import contrasts_by_cell
    from sweep.compare.cells import collect
    from sweep.compare.verdict import judge
    from sweep.run.wandb_names import CONTRAST, CONTRAST_TO

    known = contrasts_by_cell(judge(collect(output_dir, sweep)).findings.contrasts)
    return {sign: {CONTRAST: value, CONTRAST_TO: control} for sign, (value, control) in known.items()}


@commands.command()
def remove(
    sweep: Name,
    patterns: Patterns = None,
    output_dir: Output = Path("runs"),
    yes: Annotated[bool, typer.Option("--yes", help="take out what is listed")] = False,
) -> None:
    """Take cells, or all, out of a sweep: no table shows them any more. Their directories stay until `gc --yes`.

    Only --yes changes anything. What is queued or running is refused, and so is a stage that a cell needs.
    """
    from sweep.dispatch.removal import described, to_remove
    from sweep.run.ledger import take_out

    ledger = read_sweep(output_dir, sweep)
    gone = to_remove(ledger, patterns or [])
    say("\n".join(described(gone)))
    if yes:
        take_out(ledger, [run.entry for run in gone])
        print(f"took {plural(len(gone), 'run')} out of {sweep}; {suggested('gc', output_dir)} lists the directories")
        return
    typed = shlex.join(["remove", sweep, *(patterns or []), "--yes"])
    print(f"{plural(len(gone), 'run')}; {suggested(typed, output_dir)} takes them out, and leaves their directories")


@commands.command()
def gc(
    output_dir: Output = Path("runs"),
    yes: Annotated[bool, typer.Option("--yes", help="delete what is listed")] = False,
) -> None:
    """What may go: superseded checkpoints, unfinished writes, directories of no sweep. Only --yes deletes."""
    from sweep.dispatch.disk import garbage, remove

    if not output_dir.is_dir():
        raise UserError(f"{output_dir}: no such directory; --output-dir names another output directory")
    found = garbage(output_dir)
    for item in found:
        say(f"{human_bytes(item.size):>10}  {item.path}  ({item.reason})")
    total = f"{len(found)} directories, {human_bytes(sum(item.size for item in found))}"
    if yes:
        remove(found)
        print(f"deleted {total}")
    else:
        print(f"{total}; {suggested('gc --yes', output_dir)} deletes them" if found else total)
