"""The description of a training for W&B, apart from its rows. Training and `sync` share it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from sweep.config.cell import CellConfig
from sweep.config.wandb_limits import LONGEST_NAME, LONGEST_TAG
from sweep.run.directory import RunDirectory
from sweep.run.names import short_name
from sweep.run.state import State
from sweep.run.wandb_names import BASE, CELL, DIFFERENCE, FINAL, TRAINING, sweep_tag
from sweep.track.axes import Listed, axis_values, composite

DIGEST, REPEATED = "synced", "repeated_steps"  # keys of the summary
DIGITS = 16


@dataclass(frozen=True)
class Described:
    """Name, group, job type, tags, configuration and summary of a W&B run, from the present records."""

    name: str
    group: str | None
    job_type: str
    tags: tuple[str, ...]
    config: dict[str, Any]
    summary: dict[str, Any]

    def digest(self, rows: str) -> str:
        """Return a hash of the description and `rows`, a digest of the rows. It tells whether the server is current."""
        text = json.dumps([rows, asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def described(run: RunDirectory, config: CellConfig, listed: Listed, state: State) -> Described:
    """Return the description of a training from its directory, the ledger and its state."""
    values = axis_values(config, listed.axes)
    tags = [
        *map(sweep_tag, listed.sweeps),
        short_name(config.model.name, LONGEST_TAG),
        short_name(config.reward.title, LONGEST_TAG),
        f"seed={config.seed}"[:LONGEST_TAG],
        *config.tracking.tags,
    ]
    return Described(
        name=short_name(run.name, LONGEST_NAME),
        group=short_name(config.name, LONGEST_NAME) if config.name else None,
        job_type=TRAINING,
        tags=tuple(dict.fromkeys(tags)),
        config={**values, CELL: composite(values), "frozen": config.model_dump(mode="json")},
        summary=_summary(run, listed, state),
    )


def _summary(run: RunDirectory, listed: Listed, state: State) -> dict[str, Any]:
    """Return the summary; values that are not known yet are left out."""
    final, base = run.read_result() or {}, {}
    if listed.baseline is not None:
        base = RunDirectory(run.root / listed.baseline).read_result() or {}
    known = {
        BASE: base.get("accuracy"),
        FINAL: final.get("accuracy"),
        "state": str(state),
        "code": run.read_provenance().get("code"),
        "rules": (run.identity or {}).get("rules"),
        "directory": str(run.path),
    }
    if base and final and base.get("evaluation") == final.get("evaluation"):  # else they must not be subtracted
        known[DIFFERENCE] = final["accuracy"] - base["accuracy"]
    return {key: value for key, value in known.items() if value is not None}
