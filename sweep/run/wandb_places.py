"""The W&B projects of a sweep's runs, and the pages there that show them.

The addresses of the pages are kept in `sweeps/NAME/wandb/pages.json` of the output directory, so that a page is made
once and found again. The ledger does not read directories inside a sweep's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from sweep.config.cell import DEFAULT_PROJECT, TrackingConfig
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.run.files import locked, read_json, write_json
from sweep.run.ledger import Sweep

VIEW, REPORT = "view", "report"


@dataclass(frozen=True)
class Place:
    """A project of a W&B server.

    entity: None for the one that the API key belongs to. base_url: None for the server that the shell names, or W&B's
    own.
    """

    project: str
    entity: str | None
    base_url: str | None

    @staticmethod
    def of(tracking: TrackingConfig) -> Place:
        """Return the place that the configuration names."""
        return Place(tracking.project or DEFAULT_PROJECT, tracking.entity, tracking.base_url)

    @property
    def title(self) -> str:
        """The place as ENTITY/PROJECT, or PROJECT alone."""
        return f"{self.entity}/{self.project}" if self.entity else self.project


def cells_by_place(sweep: Sweep) -> dict[Place, list[Entry]]:
    """Return the cells of the sweep by the place they are tracked at or would be synced to, without untracked cells."""
    found: dict[Place, list[Entry]] = {}
    for entry in sweep.cells:
        run = RunDirectory(sweep.directory(entry))
        if run.config.exists() and (tracking := run.read_config().tracking).mode != "disabled":
            found.setdefault(Place.of(tracking), []).append(entry)
    return found


class Pages:
    """The addresses of a sweep's pages in one place."""

    def __init__(self, sweep: Sweep, place: Place) -> None:
        self.file = sweep.root / "sweeps" / sweep.name / "wandb" / "pages.json"
        self._place = asdict(place)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold a lock, so that two processes that look for the same page do not both make one."""
        self.file.parent.mkdir(exist_ok=True)
        with locked(self.file.with_name(".pages.lock")):
            yield

    def read(self, kind: str) -> str | None:
        """Return the address of the page of `kind` VIEW or REPORT; None if none was made."""
        return next((page["pages"].get(kind) for page in self._all() if page["place"] == self._place), None)

    def write(self, kind: str, url: str) -> None:
        """Store the address of the page of `kind`."""
        others = [page for page in self._all() if page["place"] != self._place]
        own: dict[str, str] = next((page["pages"] for page in self._all() if page["place"] == self._place), {})
        write_json(self.file, [*others, {"place": self._place, "pages": own | {kind: url}}])

    def _all(self) -> list[dict]:
        return read_json(self.file, list) or []
