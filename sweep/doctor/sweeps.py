"""Examine the run directories of a sweep. Nothing is changed, and runs that are at work raise no alarm."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sweep.config.faults import plural
from sweep.dispatch import slurm
from sweep.dispatch.disk import of_no_sweep
from sweep.dispatch.select import Run, counted_states, runs, select
from sweep.dispatch.states import look
from sweep.dispatch.view import suggested
from sweep.doctor import accounts, answers, records, states
from sweep.doctor.finding import Finding, broken, not_checked, ok, warning
from sweep.errors import DamagedFile, UnknownRecord, UserError
from sweep.run.answer_places import finished, of_training
from sweep.run.claims import latest_claim, read_submission
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.run.kept_weights import kept_weights
from sweep.run.launches import commands_by_run
from sweep.run.ledger import Sweep, read_sweep
from sweep.run.state import State

QUIET_SECONDS = 120.0  # a launch that is at work starts the next run, and changes its state, sooner than this
LISTED = 5  # findings about directories that belong to no sweep


class Commands:
    """The commands that findings suggest, for one sweep."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._launches = commands_by_run(sweep.root, sweep.name)
        self.gc = _typed("gc --yes", sweep.root)

    def redo(self, entry: Entry) -> str:
        """Return the command that makes a run go on: `retry` on Slurm, and elsewhere the launch again."""
        if latest_claim(RunDirectory(self._sweep.directory(entry)).attempts) is not None:
            return _typed(f"retry {self._sweep.name} {entry.run}", self._sweep.root)
        return self.launch(entry)

    def launch(self, entry: Entry) -> str:
        """Return the command that launched a run."""
        return self._launches.get(entry.signature, f"the launch of {self._sweep.name} again")

    def of(self, command: str, entry: Entry) -> str:
        """Return another command about a run, such as `logs`."""
        return _typed(f"{command} {self._sweep.name} {entry.run}", self._sweep.root)


def _typed(command: str, root: Path) -> str:
    return suggested(command, root).strip("`")


def examine(root: Path, name: str, patterns: Sequence[str], hashes: bool) -> Iterator[Finding]:
    """Yield the findings about a sweep, or about those of its runs that match the patterns.

    Args:
        hashes: whether to read all of every checkpoint and of all weights, and not only sizes.
    Raises:
        UserError: there is no such sweep, or a pattern matches nothing.
    """
    sweep = read_sweep(root, name)
    commands = Commands(sweep)
    unreadable = {entry.directory: one for entry in _entries(sweep) if (one := _unreadable(sweep, entry, commands))}
    yield from unreadable.values()
    readable = _without(sweep, unreadable)
    seen, complaint = look(readable)
    if complaint:
        yield not_checked("slurm.queue", complaint, "run this where Slurm's commands are and its controller answers")
    everything = runs(readable, seen)
    chosen = select(everything, patterns)
    whole = 0
    for run in chosen:
        found = [*_run(run, commands, hashes)]
        yield from found
        whole += not (states.is_live(run) or found) and RunDirectory(run.path).read_state().begun
    if whole:
        how = "every byte was read" if hashes else "of checkpoints and weights only the sizes were read; see --hashes"
        yield ok("run.files", f"{plural(whole, 'run')}: rows, answers, checkpoints and weights are whole ({how})")
    if live := sum(states.is_live(run) for run in chosen):
        yield ok("run.live", f"{plural(live, 'run')} at work or queued, whose files were not looked at")
    if chosen and time.time() - _last_sign(sweep, everything) > QUIET_SECONDS:
        yield from states.waiting(everything, commands.launch(chosen[-1].entry))
    yield from _on_slurm(sweep, [run for run in chosen if not states.is_live(run)], bool(complaint))
    if not patterns:
        yield from _of_no_sweep(root, commands.gc)
    yield ok("sweep.states", f"{name}: {counted_states(chosen)}" if chosen else f"{name}: no run can be read")


def _last_sign(sweep: Sweep, found: Sequence[Run]) -> float:
    """Return when the sweep was last launched, or a run of it last wrote its state, in seconds since 1970."""
    launches = [file.stat().st_mtime for file in (sweep.root / "sweeps" / sweep.name).glob("*.json")]
    return max([*launches, *(RunDirectory(run.path).read_state().updated or 0.0 for run in found)])


def _entries(sweep: Sweep) -> list[Entry]:
    return [*sweep.stages, *sweep.cells]


def _unreadable(sweep: Sweep, entry: Entry, commands: Commands) -> Finding | None:
    """Return why the state of a run cannot be told at all; None if it can."""
    run = RunDirectory(sweep.directory(entry))
    try:
        run.read_state()
        _ = run.identity
        run.read_result()
        _ = run.alive, run.last_heartbeat()
        claim = latest_claim(run.attempts)
        if claim is not None:
            read_submission(sweep.root, claim.submission)
    except DamagedFile as error:
        found = records.damaged("run.unreadable", error, run.path).at(entry.label)
        if isinstance(error, UnknownRecord):  # a later version can read it
            return found
        return replace(found, remedy=records.anew(run, commands.launch(entry)))
    except UserError as error:
        return records.damaged("run.unreadable", error, run.path).at(entry.label)
    except ValueError as error:  # a state of other keys than this code knows
        remedy = "put a copy of state.json back, or update the project"
        seen = f"its records cannot be read: {next(iter(str(error).splitlines()), '')}"
        return broken("run.unreadable", seen, remedy, place=entry.label, file=str(run.path))
    except OSError as error:
        return records.refused(error, run.path).at(entry.label)
    return None


def _without(sweep: Sweep, unreadable: dict[str, Finding]) -> Sweep:
    """Return the sweep without runs that cannot be read; what needs one of them counts as needing nothing."""

    def readable(entries: Sequence[Entry]) -> list[Entry]:
        """Return the entries that can be read."""
        kept = [entry for entry in entries if entry.directory not in unreadable]
        return [replace(e, stages=[]) if set(e.stages) & unreadable.keys() and e.steps else e for e in kept]

    stages = readable(sweep.stages)
    known = {entry.directory for entry in stages}
    cells = [e for e in readable(sweep.cells) if e.steps or not set(e.stages) & unreadable.keys()]
    known |= {entry.directory for entry in cells}
    return replace(sweep, stages=[e for e in stages if set(e.stages) <= known], cells=cells)


def _run(run: Run, commands: Commands, hashes: bool) -> Iterator[Finding]:
    """Yield the findings about one run; none about the files of one that is, or has meanwhile been, at work."""
    directory, entry = RunDirectory(run.path), run.entry
    before = directory.read_state()
    found = [*states.judge(run, before, commands.redo(entry), commands.of("logs", entry))]
    found += states.foreign_lock(directory, before)
    if not (states.is_live(run) or directory.alive):  # it may have been started again since its status was read
        try:
            found += _files(run, directory, commands, hashes)
        except OSError as error:
            found.append(records.refused(error, run.path))
    after = directory.read_state()
    if (before.updated, before.attempt) == (after.updated, after.attempt):
        yield from (one.at(entry.label) for one in found)


def _files(run: Run, directory: RunDirectory, commands: Commands, hashes: bool) -> list[Finding]:
    """Return the findings about the files of a run that is not at work."""
    entry = run.entry
    redo = commands.launch(entry)
    done = entry.steps > 0 and run.status.state == State.DONE
    found = [*records.of_run(run, hashes, redo, commands.gc)]
    if any(one.check in ("run.frozen", "run.signature") for one in found):
        return found
    found += answers.behind_result(directory, entry, redo, commands.of("evaluate", entry))
    for place in answers.places_of(directory, entry):
        step = place.name.removeprefix("step_").lstrip("0")
        found += answers.whole(place, f"{commands.of('evaluate', entry)} --step {step}" if done else redo)
    if hashes and not any(one.check.startswith("answers.") for one in found):
        found += _answered_by(directory, entry)
    return found


def _answered_by(directory: RunDirectory, entry: Entry) -> Iterator[Finding]:
    """Yield the steps whose kept weights are not those that answered."""
    for step, weights in kept_weights(directory).items() if entry.steps else ():
        for kept in finished(of_training(directory.root, directory.path.name, step)):
            yield from answers.of_these_weights(weights, kept.directory, kept.manifest)


def _on_slurm(sweep: Sweep, ended: Sequence[Run], silent: bool) -> Iterator[Finding]:
    """Yield how Slurm's queue and accounts differ from the sweep's records, if any run was submitted to it."""
    submitted = [e for e in _entries(sweep) if latest_claim(RunDirectory(sweep.directory(e)).attempts)]
    if silent or not (submitted or any((sweep.root / "submissions").glob("*/submission.json"))):
        return
    try:
        yield from accounts.strays(sweep.root, [entry.directory for entry in _entries(sweep)])
        yield from accounts.hours(sweep.root, ended)
    except slurm.SlurmError as error:
        yield not_checked("slurm.queue", str(error), "run this where Slurm's commands are")


def _of_no_sweep(root: Path, gc: str) -> Iterator[Finding]:
    """Yield the directories of the output directory that no sweep lists, and answers without a training."""
    try:
        found = of_no_sweep(root)
    except (UserError, OSError) as error:
        yield not_checked("sweep.orphans", f"directories of no sweep: {error}", "mend that first")
        return
    for path, reason in found[:LISTED]:
        yield warning("sweep.orphans", f"{path.relative_to(root)}: {reason}", gc, file=str(path))
    if len(found) > LISTED:
        yield warning("sweep.orphans", f"{len(found) - LISTED} more directories of no sweep", _typed("gc", root))
