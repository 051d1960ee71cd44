"""Send one training to W&B. Training uses this while it goes on, and `sync` later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sweep.config.cell import CellConfig
from sweep.run.directory import RunDirectory
from sweep.run.files import read_json, write_json
from sweep.run.growing import GrowingRows
from sweep.run.wandb_places import Place
from sweep.track.client import Manner, Told, open_session
from sweep.track.described import DIGEST, REPEATED, Described
from sweep.track.remote import Remote, confirmed
from sweep.track.rows import Feed
from sweep.track.samples import SampledAnswers, has_table

MOST_AT_ONCE = 100  # rows in one call of W&B's client


def identifiers(run: RunDirectory) -> list[str]:
    """Return the ids under which W&B has opened the run, or will open it; the last one is current."""
    return (read_json(run.wandb_ids) or {}).get("ids") or [run.signature]


def next_identifier(run: RunDirectory) -> str:
    """Return a new id, under which everything can be sent again. It is recorded once W&B has opened it."""
    return f"{run.signature}-{len(identifiers(run)) + 1}"


def _remember(run: RunDirectory, identifier: str) -> None:
    if not run.wandb_ids.exists() or identifier not in identifiers(run):
        write_json(run.wandb_ids, {"ids": list(dict.fromkeys([*identifiers(run), identifier]))})


@dataclass(frozen=True)
class Written:
    """The result for a run: the number of rows sent, and the steps that the server lacks or has with older values."""

    url: str
    sent: int
    rows: int
    missing: list[int]
    otherwise: list[int]


class Writer:
    """A training that is open at the server. Every call may raise CallFailed, which ends its use."""

    def __init__(
        self,
        run: RunDirectory,
        identifier: str,
        said: Described,
        config: CellConfig,
        manner: Manner,
        remote: Remote | None = None,
    ) -> None:
        """
        Args:
            identifier: the current id of the run, or its next.
            said: how the run is described now.
            remote: the run's project, where it was opened already, since that takes two requests.
        """
        self._id = identifier
        self._config, self._place, self._patience = config, Place.of(config.tracking), manner.patience
        self._project = remote
        self._session = open_session(self._id, said, self._place, manner)
        _remember(run, identifier)
        there = self._remote.history(self._id) if self._session.resumed else {}
        self._feed = Feed(there, self._send, self._session.taken_to)
        self._rows, self._answers = GrowingRows(run.metrics), SampledAnswers(run.samples)
        self._unsent: list[Told] = []

    @property
    def url(self) -> str:
        """The address of the run's page."""
        return self._session.url

    @cached_property
    def _remote(self) -> Remote:
        if self._project is not None:
            return self._project
        entity, _, project = self._session.path.partition("/")
        return Remote(Place(project, entity, self._place.base_url), self._patience)

    def send_new(self) -> None:
        """Send the rows that were added to metrics.jsonl."""
        for row in self._rows.new():
            self._feed.take(row)
        self._hand_over()

    def _send(self, row: dict) -> None:
        step, every = row["step"], self._config.evaluation.first.every
        tabled = "eval/accuracy" in row and has_table(step, self._config.steps, every)
        self._unsent.append((row, self._answers.until(step) if tabled else []))
        if len(self._unsent) == MOST_AT_ONCE:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._unsent:
            self._session.log(self._unsent)
            self._unsent = []

    def finish(self, said: Described, exit_code: int, later: Mapping[str, Any]) -> Written:
        """Close the W&B run with its summary, and check that the server has every row.

        Args:
            later: values for the summary that are not in the run's own records.
        """
        feed = self._feed
        summary = {**said.summary, **later, REPEATED: len(feed.otherwise)}
        if not feed.missing:
            summary[DIGEST] = said.digest(feed.digest)
        self._session.finish(summary, exit_code)
        confirmed(self._remote, self._id, feed.on_server)
        return Written(self.url, feed.sent, feed.taken, feed.missing, feed.otherwise)
