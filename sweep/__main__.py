"""The command line: `python -m sweep --help` lists it. Loads no torch."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sweep.compare.ask import answer
from sweep.compare.export import verdict_csv, verdict_json, verdict_latex
from sweep.compare.table import print_verdict
from sweep.dispatch.view import console, plain_line, status_table, suggested
from sweep.errors import UserError
from sweep.plan.faults import counted
from sweep.plan.view import LARGEST_TABLE
from sweep.run.ledger import read_sweep
from sweep.run.state import State
from sweep.run.unwritable import complaint

COMPOSING = ("plan", "prefetch")  # take overrides, of which output_dir is one


def _place(typed: str | Path) -> Path:
    """An output directory as an absolute path; bash leaves the ~ of --output-dir=~/runs alone."""
    if not str(typed).strip():
        raise typer.BadParameter("is empty; name a directory")
    return Path(os.path.expanduser(typed)).absolute()


app = typer.Typer(
    help="Plan, watch and compare sweeps. Launch one with `python launch.py -m …`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Name = Annotated[str, typer.Argument(metavar="SWEEP", help="a sweep's name, as the launch printed it")]
Output = Annotated[Path, typer.Option(parser=_place, help="the output_dir of the launch; output_dir=DIR does as well")]
Typed = Annotated[str | None, typer.Option("--output-dir", help="output_dir, as the other commands take it")]
Overrides = Annotated[list[str] | None, typer.Argument(help="the same overrides as for launch.py")]
ConfigDir = Annotated[str | None, typer.Option(help="a directory with groups of your own")]
Patterns = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CELL…]", help="axis=value, a label, a directory's name or a signature"),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]


@app.command(context_settings={"ignore_unknown_options": True})
def plan(
    overrides: Overrides = None, config_dir: ConfigDir = None, output_dir: Typed = None, as_json: AsJson = False
) -> None:
    """What a launch would run: stages, cells, which are done, predicted memory and disk. Writes nothing.

    Ends with 2 where a launch here would be refused.
    """
    from sweep.plan.plan import plan_sweep
    from sweep.plan.view import plan_json, print_plan

    planned = plan_sweep(_as_launched(overrides, output_dir), config_dir)
    if as_json:
        _print_json(plan_json(planned))
    else:
        print_plan(planned, console())
    raise typer.Exit(2 if planned.obstacles else 0)


@app.command(context_settings={"ignore_unknown_options": True})
def prefetch(overrides: Overrides = None, config_dir: ConfigDir = None, output_dir: Typed = None) -> None:
    """Fetch every model and data set of a sweep into the caches, where there is a network; jobs then need none."""
    from sweep.dispatch.prefetch import prefetch as fetch_all

    for line in fetch_all(_as_launched(overrides, output_dir), config_dir):
        print(line, flush=True)


@app.command()
def export(
    cell: Annotated[str, typer.Argument(help="a run directory, its name, or (the beginning of) its signature")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="where to write; must not exist")],
    output_dir: Output = Path("runs"),
    merge: Annotated[bool, typer.Option(help="merge LoRA adapters into the weights")] = True,
) -> None:
    """Write a finished cell's model and tokenizer as a Hugging Face directory."""
    from sweep.dispatch.export import export_cell

    source, step = export_cell(output_dir, cell, directory.absolute(), merge)
    print(f"wrote {directory}: the weights of step {step} of {source}")


@app.command()
def status(
    sweep: Name,
    patterns: Patterns = None,
    output_dir: Output = Path("runs"),
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="refresh until Ctrl-C")] = False,
) -> None:
    """Every stage and cell: state, step, reward, accuracy, time left. `--json` says more."""
    from sweep.dispatch.remote import watch as keep_watching
    from sweep.dispatch.select import runs, select
    from sweep.dispatch.states import look

    ledger = read_sweep(output_dir, sweep)
    if watch and (patterns or as_json):
        raise typer.BadParameter("--watch shows every run in a table; leave the cells and --json out, or --watch")
    if watch:
        raise typer.Exit(keep_watching(ledger, console(), only_until_ended=False))
    seen, complaint_of_slurm = look(ledger)
    if complaint_of_slurm:
        print(complaint_of_slurm, file=sys.stderr)
    statuses = [run.status for run in select(runs(ledger, seen), patterns or [])]
    if as_json:
        _print_json({"sweep": sweep, "runs": [asdict(s) for s in statuses]})
    elif sys.stdout.isatty() and len(statuses) <= LARGEST_TABLE:
        console().print(status_table(f"sweep {sweep}", statuses))
    else:
        print("\n".join(map(plain_line, statuses)))


@app.command()
def logs(
    sweep: Name,
    patterns: Patterns = None,
    output_dir: Output = Path("runs"),
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on until Ctrl-C")] = False,
) -> None:
    """The log of one run."""
    from sweep.dispatch.manage import log_lines

    try:
        for line in log_lines(read_sweep(output_dir, sweep), patterns or [], follow):
            print(line, flush=True)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@app.command()
def cancel(sweep: Name, patterns: Patterns = None, output_dir: Output = Path("runs")) -> None:
    """Stop runs, queued or running; those that train write a checkpoint first.

    Says what was not stopped and why. Ends with 1 where cells were named and none was stopped.
    """
    from sweep.dispatch.manage import cancel as stop
    from sweep.dispatch.select import counted_states

    done = stop(read_sweep(output_dir, sweep), patterns or [])
    for run in done.stopped:
        print(f"cancelled {run.entry.label}" + (f" (job {run.status.job})" if run.status.job else ""))
    for run, why in done.left:
        if patterns or not run.status.ended:
            print(f"not stopped: {run.entry.label}: {why}")
    if not done.stopped:
        print(f"nothing was stopped: {counted_states([run for run, _ in done.left])}")
    failed = any(not run.status.ended and not run.is_to_come for run, _ in done.left)
    raise typer.Exit(int(failed or (bool(patterns) and not done.stopped)))


@app.command()
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
    from sweep.dispatch.manage import retry as submit_again
    from sweep.dispatch.remote import say_what_was_submitted
    from sweep.dispatch.select import counted_states, runs, select
    from sweep.dispatch.submit import Submitted

    ledger = read_sweep(output_dir, sweep)
    asked = {State.FAILED: failed, State.TIMED_OUT: timeout, State.OUT_OF_MEMORY: oom}
    chosen = [state for state, is_asked in asked.items() if is_asked]
    submitted = submit_again(ledger, patterns or [], chosen, change or [], force)
    if submitted == Submitted():
        asked = "".join(f" --{option}" for option, on in (("failed", failed), ("timeout", timeout), ("oom", oom)) if on)
        print(f"nothing to retry{asked and f' with{asked}'}: {counted_states(select(runs(ledger), patterns or []))}")
        return
    say_what_was_submitted(submitted, ledger, console())
    raise typer.Exit(int(not submitted.complete))


@app.command()
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
    print("\n".join(described(gone)))
    if yes:
        take_out(ledger, [run.entry for run in gone])
        print(f"took {counted(len(gone), 'run')} out of {sweep}; {suggested('gc', output_dir)} lists the directories")
        return
    typed = shlex.join(["remove", sweep, *(patterns or []), "--yes"])
    print(f"{counted(len(gone), 'run')}; {suggested(typed, output_dir)} takes them out, and leaves their directories")


@app.command()
def gc(
    output_dir: Output = Path("runs"),
    yes: Annotated[bool, typer.Option("--yes", help="delete what is listed")] = False,
) -> None:
    """What may go: superseded checkpoints, unfinished writes, directories of no sweep. Only --yes deletes."""
    from sweep.dispatch.disk import garbage, remove
    from sweep.plan.fit import human_bytes

    if not output_dir.is_dir():
        raise UserError(f"{output_dir}: no such directory; --output-dir names another output directory")
    found = garbage(output_dir)
    for item in found:
        print(f"{human_bytes(item.size):>10}  {item.path}  ({item.reason})")
    total = f"{len(found)} directories, {human_bytes(sum(item.size for item in found))}"
    if yes:
        remove(found)
        print(f"deleted {total}")
    else:
        print(f"{total}; {suggested('gc --yes', output_dir)} deletes them" if found else total)


@app.command()
def compare(
    targets: Annotated[list[str], typer.Argument(metavar="SWEEP…|FILE.json", help="sweeps, or what --json wrote")],
    output_dir: Output = Path("runs"),
    metric: Annotated[str | None, typer.Option(help="any of metrics.jsonl; eval/accuracy by default")] = None,
    at_step: Annotated[str | None, typer.Option(metavar="N|last", help="the step whose values are compared")] = None,
    control: Annotated[
        str | None, typer.Option(metavar="KEY=VALUE,…", help="what makes a control; reward=random by default")
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="KEY,…", help="what makes a family; model by default")] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="KEY=PATTERN,…", help="only these cells; * and ? as in a shell")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV instead")] = False,
    as_latex: Annotated[bool, typer.Option("--latex", help="print tables for LaTeX (booktabs) instead")] = False,
    as_json: AsJson = False,
) -> None:
    """Did a reward beat its control? Tables, the verdict in a sentence for each family, and what to run next."""
    if as_csv + as_latex + as_json > 1:
        raise typer.BadParameter("--csv, --latex and --json: one of them at a time")
    verdict = answer(targets, output_dir, metric, at_step, control, by, where or ())
    if as_json:
        _print_json(verdict_json(verdict))
    elif as_csv or as_latex:
        print(verdict_csv(verdict) if as_csv else verdict_latex(verdict), end="")
    else:
        print_verdict(verdict, console())


@app.command()
def labels(sweep: Name, output_dir: Output = Path("runs"), as_json: AsJson = False) -> None:
    """How right the majority labels are and how large the majorities, model by model."""
    from sweep.compare.labels import label_summaries, print_labels

    summaries = label_summaries(output_dir, sweep)
    if as_json:
        _print_json({"sweep": sweep, "labels": [asdict(s) for s in summaries]})
    else:
        print_labels(sweep, summaries, console())


def _as_launched(overrides: list[str] | None, output_dir: str | None) -> list[str]:
    """The overrides of a launch that is typed with -m or without."""
    from sweep.plan.overrides import with_output_dir

    return with_output_dir([o for o in overrides or [] if o not in ("-m", "--multirun")], output_dir)


def _arguments(typed: list[str]) -> list[str]:
    """`typed` with `output_dir=DIR`, as a launch takes it, turned into the option that means the same here."""
    words: list[str] = []
    for word in typed:
        if word.startswith("output_dir=") and typed[0] not in COMPOSING and words[-1:] != ["--set"]:
            from sweep.plan.overrides import one_value

            words += ["--output-dir", one_value(word)]
        else:
            words.append(word)
    return words


def _print_json(value: dict) -> None:
    print(json.dumps(value, indent=1))


def main(typed: list[str]) -> int:
    """Returns the exit code: 2 for bad input."""
    try:
        return app(_arguments(typed), standalone_mode=False) or 0
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        if not (fault := complaint(error)):
            raise
        print(fault, file=sys.stderr)
        return 2
    except Exception as error:
        # Typer's own usage errors, whichever click it brings along.
        if not hasattr(error, "format_message"):
            raise
        print(error.format_message(), file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
