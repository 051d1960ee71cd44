"""Find runs of a sweep by label, directory name, signature or axis value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from sweep.config.faults import plural
from sweep.dispatch.states import Statuses, statuses
from sweep.errors import UserError
from sweep.run.entry import Entry
from sweep.run.ledger import Sweep
from sweep.run.state import State
from sweep.run.status import Status


@dataclass(frozen=True)
class Run:
    """A run of a sweep: its status, which holds its entry of the ledger, and its directory."""

    path: Path
    status: Status

    @property
    def entry(self) -> Entry:
        """The entry of the run in the ledger."""
        return self.status.entry

    @property
    def is_to_come(self) -> bool:
        """True if the run waits without a job, and no launch is about to submit one."""
        return self.status.state == State.QUEUED and not self.status.job and self.status.note != "being submitted"


def runs(sweep: Sweep, seen: Statuses | None = None) -> list[Run]:
    """Return every stage and cell, with the statuses that were `seen`, or else the current ones."""
    stages, cells = seen or statuses(sweep)
    return [Run(sweep.directory(status.entry), status) for status in (*stages, *cells)]


def select(found: Sequence[Run], words: Sequence[str]) -> list[Run]:
    """Return the runs that match `words`; all of them if there are no words.

    A word is a label, (the beginning of) a signature, the name of a run directory, or `axis=value`; names and values
    take * and ? as in a shell. Several values of one axis stand for any of them, and so do several names; a run has to
    match every axis that is given, and one of the names.

    Raises:
        UserError: a word matches nothing, all words together match nothing, or there is no such axis.
    """
    axes: dict[str, list[str]] = {}
    names: list[str] = []
    for word in words:
        axis, is_axis, value = word.partition("=")
        if any(_is_named(run.entry, word) for run in found):
            names.append(word)
        elif is_axis:
            _refuse_unmatched(found, axis, value)
            axes.setdefault(axis, []).append(value)
        else:
            raise UserError(f"{word or repr(word)}: matches none of\n  {_names(found)}")
    chosen = [
        run
        for run in found
        if all(any(_has(run.entry, axis, value) for value in values) for axis, values in axes.items())
        and (not names or any(_is_named(run.entry, name) for name in names))
    ]
    if words and not chosen:
        raise UserError(f"{' '.join(words)}: no run matches all of these; there are\n  {_names(found)}")
    return chosen


def _is_named(entry: Entry, word: str) -> bool:
    directory = Path(entry.directory).name
    if word in (entry.label, directory):  # exactly as shown, even if it contains * or ?
        return True
    shown = fnmatchcase(directory, word) or fnmatchcase(entry.label, word)
    return bool(word) and (shown or entry.signature.startswith(word))


def _has(entry: Entry, axis: str, value: str) -> bool:
    own = entry.axes.get(axis)
    return own is not None and (own == value or fnmatchcase(own, value))


def _refuse_unmatched(found: Sequence[Run], axis: str, value: str) -> None:
    there = {run.entry.axes[axis] for run in found if axis in run.entry.axes}
    if not there:
        known = sorted({axis for run in found for axis in run.entry.axes})
        raise UserError(f"{axis}: no axis of this sweep; there are {', '.join(known)}")
    if not any(_has(run.entry, axis, value) for run in found):
        raise UserError(f"{axis}={value}: no run has this value; there are {', '.join(sorted(there))}")


def _names(found: Iterable[Run]) -> str:
    return "\n  ".join(Path(run.entry.directory).name for run in found)


def counted_states(found: Sequence[Run]) -> str:
    """Return in words how many runs are in each state."""
    states = [run.status.state for run in found]
    return f"of {plural(len(found), 'run')} " + ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
