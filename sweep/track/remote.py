"""Read back from the W&B server, through W&B's public interface. Every call may raise CallFailed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sweep.run.bounded import CallFailed
from sweep.run.wandb_names import OF_SWEEP, SUPERSEDED
from sweep.run.wandb_places import Place
from sweep.run.wandb_process import settle
from sweep.track.client import Patience, bounded
from sweep.track.described import DIGEST

PAGE = 100  # runs in one request
LOOKS, LOOK_SECONDS = 3, 0.3  # tries and seconds between them: the server may list rows a moment after it took them


@dataclass(frozen=True)
class RemoteRun:
    """A run as the server lists it. `rows` is the number of rows that it has."""

    id: str
    url: str
    tags: tuple[str, ...]
    rows: int
    summary: dict[str, Any]

    @property
    def taken_to(self) -> int:
        """The step of the summary's last row. W&B refuses rows of this step and of earlier ones."""
        return self.summary.get("_step", 0)

    @property
    def digest(self) -> str | None:
        """The digest of the description and rows that were last sent in full; None if they never were."""
        return self.summary.get(DIGEST)


class Remote:
    """The runs of one project."""

    def __init__(self, place: Place, patience: Patience) -> None:
        """Connect to the server; raises CallFailed if it refuses the key."""
        self._path = f"{place.entity}/{place.project}" if place.entity else place.project
        self._seconds = patience.call
        self._api = bounded(self._seconds, partial(_api, place, patience))

    def runs(self, identifiers: Sequence[str]) -> dict[str, RemoteRun]:
        """Return by id those of the runs that the server has."""
        found: dict[str, RemoteRun] = {}
        for first in range(0, len(identifiers), PAGE):
            found |= bounded(self._seconds, partial(self._page, identifiers[first : first + PAGE]))
        return found

    def _page(self, identifiers: Sequence[str]) -> dict[str, RemoteRun]:
        self._forget()
        asked = {"name": {"$in": list(identifiers)}}
        try:
            runs = list(self._api.runs(self._path, filters=asked, per_page=PAGE, lazy=False))
        except ValueError as error:
            if "Could not find project" in str(error):
                return {}
            raise
        return {run.id: _listed(run) for run in runs}

    def _run(self, identifier: str) -> Any:
        self._forget()
        return self._api.run(f"{self._path}/{identifier}")

    def _forget(self) -> None:
        """Clear the cache of W&B's interface; it would answer from earlier responses, and write them back."""
        self._api.flush()

    def history(self, identifier: str) -> dict[int, dict[str, Any]]:
        """Return every row that the server has of the run, by its column `step`."""

        def scan() -> dict[int, dict[str, Any]]:
            rows = self._run(identifier).scan_history(use_cache=False)
            return {row["step"]: row for row in rows if "step" in row}

        return bounded(self._seconds, scan)

    def supersede(self, identifier: str) -> None:
        """Change the tags of a run so that no view of its sweeps shows it. Nothing is deleted."""

        def change() -> None:
            run = self._run(identifier)
            run.tags = [*(tag for tag in run.tags if not tag.startswith(OF_SWEEP)), SUPERSEDED]
            run.update()

        bounded(self._seconds, change)

    def summarise(self, identifier: str, values: dict[str, Any]) -> None:
        """Add values to the summary of a run, and change nothing else."""
        bounded(self._seconds, lambda: self._run(identifier).summary.update(values))


def _api(place: Place, patience: Patience) -> Any:
    settle(os.environ)
    import wandb

    return wandb.Api(overrides={"base_url": place.base_url} if place.base_url else {}, timeout=int(patience.call))


def _listed(run: Any) -> RemoteRun:
    return RemoteRun(run.id, run.url, tuple(run.tags), run.historyLineCount or 0, dict(run.summary_metrics))


def confirmed(remote: Remote, identifier: str, rows: int) -> None:
    """Check that the server has all rows. W&B's client does not report it when rows are refused on the way.

    Raises:
        CallFailed: the server has fewer rows than were sent.
    """
    for look in range(LOOKS):
        if look:
            time.sleep(LOOK_SECONDS)
        run = remote.runs([identifier]).get(identifier)
        have = run.rows if run else 0
        if have >= rows:
            return
    words = f"the server has {have} of {rows} rows: it may have refused them, of which W&B's client says nothing"
    raise CallFailed(words, remedy="see first that the key may write to the project")
