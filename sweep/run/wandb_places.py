"""Where the runs of a sweep are on W&B, and the pages there that show them.

The addresses of the pages are kept in `sweeps/NAME/wandb/pages.json` of the output directory, so that a page is made
once and found again. The ledger reads no directory inside of a sweep's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from sweep.config.cell import DEFAULT_PROJECT, TrackingConfig
from sweep.run.directory import RunDirectory
from sweep.run.files import locked, read_json, write_json
from sweep.run.ledger import Entry, Sweep

VIEW, REPORT = "view", "report"


@dataclass(frozen=True)
class Place:
    """A project of a W&B server.

    entity: None is the one that the API key belongs to. base_url: None is the server that the shell names, or W&B's.
    """

    project: str
    entity: str | None
    base_url: str | None

    @staticmethod
    def of(tracking: TrackingConfig) -> Place:
        return Place(tracking.project or DEFAULT_PROJECT, tracking.entity, tracking.base_url)

    @property
    def title(self) -> str:
        return f"{self.entity}/{self.project}" if self.entity else self.project


def cells_by_place(sweep: Sweep) -> dict[Place, list[Entry]]:
    """The cells of the sweep by where they are tracked, or will be once they are synced; without those that are not."""
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
        """Whoever else looks for a page waits meanwhile, so that two do not make one each."""
        self.file.parent.mkdir(exist_ok=True)
        with locked(self.file.with_name(".pages.lock")):
            yield

    def read(self, kind: str) -> str | None:
        """The address of the page; `kind`: VIEW or REPORT. None where none was made."""
        return next((page["pages"].get(kind) for page in self._all() if page["place"] == self._place), None)

    def write(self, kind: str, url: str) -> None:
        """Keep the address of the page."""
        others = [page for page in self._all() if page["place"] != self._place]
        own = next((page["pages"] for page in self._all() if page["place"] == self._place), {})
        write_json(self.file, [*others, {"place": self._place, "pages": own | {kind: url}}])

    def _all(self) -> list[dict]:
        return read_json(self.file) or []
