"""Brings one training to W&B: what training does while it goes on, and `sync` does later, is this."""

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

MOST_AT_ONCE = 100  # rows that are handed over in one call


def identifiers(run: RunDirectory) -> list[str]:
    """The ids under which W&B opened the run so far, or will; the current one is the last."""
    return (read_json(run.wandb_ids) or {}).get("ids") or [run.signature]


def next_identifier(run: RunDirectory) -> str:
    """Another id, under which W&B can be told everything again; the run's own from the moment that W&B opens it."""
    return f"{run.signature}-{len(identifiers(run)) + 1}"


def _remember(run: RunDirectory, identifier: str) -> None:
    if not run.wandb_ids.exists() or identifier not in identifiers(run):
        write_json(run.wandb_ids, {"ids": list(dict.fromkeys([*identifiers(run), identifier]))})


@dataclass(frozen=True)
class Written:
    """What became of a run: how many rows were sent, and the steps that the server lacks, or has from before."""

    url: str
    sent: int
    rows: int
    missing: list[int]
    otherwise: list[int]


class Writer:
    """A training that is open at the server. Every call may raise CallFailed, after which it takes no more."""

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
        return self._session.url

    @cached_property
    def _remote(self) -> Remote:
        if self._project is not None:
            return self._project
        entity, _, project = self._session.path.partition("/")
        return Remote(Place(project, entity, self._place.base_url), self._patience)

    def send_new(self) -> None:
        """Send the rows that metrics.jsonl has gained."""
        for row in self._rows.new():
            self._feed.take(row)
        self._hand_over()

    def _send(self, row: dict) -> None:
        step, every = row["step"], self._config.evaluation.every
        tabled = "eval/accuracy" in row and has_table(step, self._config.steps, every)
        self._unsent.append((row, self._answers.until(step) if tabled else []))
        if len(self._unsent) == MOST_AT_ONCE:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._unsent:
            self._session.log(self._unsent)
            self._unsent = []

    def finish(self, said: Described, exit_code: int, later: Mapping[str, Any]) -> Written:
        """Close the W&B run, with its summary, and see that the server has every row.

        later: what the summary is to say beside the run's own records.
        """
        feed = self._feed
        summary = {**said.summary, **later, REPEATED: len(feed.otherwise)}
        if not feed.missing:
            summary[DIGEST] = said.digest(feed.digest)
        self._session.finish(summary, exit_code)
        confirmed(self._remote, self._id, feed.on_server)
        return Written(self.url, feed.sent, feed.taken, feed.missing, feed.otherwise)
