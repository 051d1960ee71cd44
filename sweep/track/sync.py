"""The command `sync`: bring the rows of metrics.jsonl to W&B that did not arrive while training went on.

It reads and sends in the same way as training does. A training that the server has in full, by its digest, is skipped,
so the command may be stopped and repeated.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.config.cell import CellConfig
from sweep.run.bounded import CallFailed
from sweep.run.directory import RunDirectory
from sweep.run.files import try_lock
from sweep.run.growing import GrowingRows
from sweep.run.state import State
from sweep.run.wandb_names import SUPERSEDED
from sweep.run.wandb_places import Place
from sweep.run.wandb_process import end_service
from sweep.track.axes import Listed, read_listed
from sweep.track.client import Manner, Patience, remedy
from sweep.track.described import Described, described
from sweep.track.outcome import Kind, Outcome, differences, in_words
from sweep.track.remote import Remote, RemoteRun
from sweep.track.rows import Feed
from sweep.track.writer import Writer, identifiers, next_identifier

PATIENCE = Patience(open=60.0, call=60.0, finish=120.0)
MOST_FAILURES = 3  # in a row; after these the remaining trainings are not tried
# Trainings for each process of W&B, which keeps 0.2 MB and three connections for each of them until it ends.
AT_ONCE = 100
OTHER_SENDER = "its job, or another sync, sends its rows"


@dataclass(frozen=True)
class Training:
    """A training as a sweep lists it, with its state."""

    label: str
    run: RunDirectory
    state: State


@dataclass(frozen=True)
class How:
    """The options of `sync`.

    check: change nothing, and print the differences. rebuild: if rows cannot be corrected, send all of them under a new
    id. disabled: also send trainings launched with tracking.mode=disabled. later: by signature, values for the summary
    of a training that are not in its records, such as its contrast, which is known once its control is done.
    """

    check: bool = False
    rebuild: bool = False
    disabled: bool = False
    later: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def sync(trainings: Sequence[Training], root: Path, how: How) -> Iterator[Outcome]:
    """Yield the outcome of each training, one after the other; `root` is their output directory."""
    listed = read_listed(root)
    places: dict[Place, list[Training]] = {}
    for training in trainings:
        place = _place(training, how)
        if isinstance(place, Place):
            places.setdefault(place, []).append(training)
        else:
            yield Outcome(training.label, Kind.SKIPPED, place)
    for place, members in places.items():
        yield from _Project(place, how, root, listed).sync(members)


def _place(training: Training, how: How) -> Place | str:
    """Return the place that a training is sent to, or the reason why it is left out.

    The configuration is read again later and not kept, because those of all trainings would need much memory.
    """
    if not training.run.metrics.exists():
        return "no rows yet"
    tracking = training.run.read_config().tracking
    if tracking.mode == "disabled" and not how.disabled:
        return "launched with tracking.mode=disabled; --disabled sends it all the same"
    if how.check and training.run.alive:
        return "not checked, as it is being trained"
    return Place.of(tracking)


class _Project:
    """The trainings of one project on one server."""

    def __init__(self, place: Place, how: How, root: Path, listed: Mapping[str, Listed]) -> None:
        self._place, self._how, self._root, self._listed = place, how, root, listed
        self._there: dict[str, RemoteRun] | None = None
        self._failures = 0  # in a row

    def sync(self, members: Sequence[Training]) -> Iterator[Outcome]:
        try:
            for first in range(0, len(members), AT_ONCE):
                together = members[first : first + AT_ONCE]
                for training in together:
                    yield self._outcome(training, together)
                self._close(failed=False)
        except BaseException:  # usually Ctrl-C: this process would not end before W&B's does
            end_service(failed=True)
            raise

    def _close(self, failed: bool) -> None:
        end_service(failed)
        self._there = None

    def _outcome(self, training: Training, together: Sequence[Training]) -> Outcome:
        if self._failures == MOST_FAILURES:
            return Outcome(training.label, Kind.FAILED, f"not tried, after {MOST_FAILURES} failures in a row")
        try:
            outcome = self._one(training, together)
        except CallFailed as failure:
            self._failures += 1
            self._close(failed=True)
            return Outcome(training.label, Kind.FAILED, f"{failure}; {remedy(failure)}")
        self._failures = 0
        return outcome

    def _one(self, training: Training, together: Sequence[Training]) -> Outcome:
        if self._there is None:  # for the first training, and again after a failure
            self._remote = Remote(self._place, PATIENCE)
            self._there = self._remote.runs([i for one in together for i in identifiers(one.run)])
        return self._check(training) if self._how.check else self._send(training)

    def _described(self, training: Training, config: CellConfig) -> Described:
        run = training.run
        listed = self._listed.get(str(run.path.relative_to(self._root)), Listed())
        return described(run, config, listed, training.state)

    def _compared(self, training: Training) -> tuple[Feed, list[int]]:
        """Compare the rows with the server's; return the result and the steps that were not sent yet."""
        found, unsent = self._there.get(identifiers(training.run)[-1]), []
        there = self._remote.history(found.id) if found else {}
        feed = Feed(there, lambda row: unsent.append(row["step"]), found.taken_to if found else 0)
        for row in GrowingRows(training.run.metrics).new():
            feed.take(row)
        return feed, unsent

    def _check(self, training: Training) -> Outcome:
        found = self._there.get(identifiers(training.run)[-1])
        if found is None:
            return Outcome(training.label, Kind.DIFFERS, "the server does not have it")
        feed, unsent = self._compared(training)
        said = differences(feed, unsent)
        if not said and found.digest != self._described(training, training.run.read_config()).digest(feed.digest):
            said = ["its state, tags, configuration or summary changed since"]
        if not said:
            return Outcome(training.label, Kind.SAME, in_words(feed.taken, "row"), found.url)
        return Outcome(training.label, Kind.DIFFERS, "; ".join(said), found.url)

    def _send(self, training: Training) -> Outcome:
        run, config = training.run, training.run.read_config()
        said = self._described(training, config)
        found = self._there.get(identifiers(run)[-1])
        anew = self._how.rebuild and self._is_beyond_mending(training)
        if found is not None and not anew and self._is_current(run, said, found):
            self._retire(run)
            self._say_later(run, found.summary)
            return Outcome(training.label, Kind.SAME, in_words(found.rows, "row"), found.url)
        lock = try_lock(run.sending)
        if lock is None:
            return Outcome(training.label, Kind.SKIPPED, OTHER_SENDER, found.url if found else "")
        with lock, tempfile.TemporaryDirectory(prefix="wandb-") as folder:
            identifier = next_identifier(run) if anew else identifiers(run)[-1]
            manner = Manner(Path(folder), PATIENCE, ends=not run.alive)
            writer = Writer(run, identifier, said, config, manner, self._remote)
            writer.send_new()
            later = self._how.later.get(run.signature, {})
            written = writer.finish(said, int(training.state != State.DONE), later)
        self._retire(run)
        return Outcome.of(training.label, written)

    def _say_later(self, run: RunDirectory, summary: Mapping[str, Any]) -> None:
        """Add to the summary those values of `later` that it lacks."""
        later = self._how.later.get(run.signature, {})
        if any(summary.get(key) != value for key, value in later.items()):
            self._remote.summarise(identifiers(run)[-1], dict(later))

    def _is_current(self, run: RunDirectory, said: Described, found: RemoteRun) -> bool:
        """Return True if the server has everything. This needs no request."""
        if found.digest is None:
            return False
        feed = Feed({}, lambda row: None)
        for row in GrowingRows(run.metrics).new():
            feed.take(row)
        return found.digest == said.digest(feed.digest) and found.rows >= feed.taken

    def _is_beyond_mending(self, training: Training) -> bool:
        """Return True if the server has other rows than metrics.jsonl at steps that it no longer accepts."""
        if identifiers(training.run)[-1] not in self._there:
            return training.run.wandb_ids.exists()  # it was deleted on the server, which never reuses an id
        feed, _ = self._compared(training)
        return bool(feed.missing or feed.otherwise or feed.surplus)

    def _retire(self, run: RunDirectory) -> None:
        """Hide the W&B runs that the current one replaced from all views."""
        for identifier in identifiers(run)[:-1]:
            old = self._there.get(identifier)
            if old is not None and SUPERSEDED not in old.tags:
                self._remote.supersede(identifier)
                self._there.pop(identifier)
