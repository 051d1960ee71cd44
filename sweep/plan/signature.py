"""A run's identity: the hash of what changes the distribution of its results."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from pydantic import BaseModel

from models.config import is_local
from models.hub import content_hash
from sweep.data.problems import file_hash
from sweep.errors import UserError
from sweep.run.config import CellConfig

SCHEMA_VERSION = 1  # raise when the meaning of an identity field changes


def identity(config: BaseModel) -> dict:
    """The identity fields of `config`, files by content.

    Defaults are resolved, so changing one later changes the identity of no earlier run.
    """
    found = {}
    unread = getattr(config, "unread", ())
    for name, field in type(config).model_fields.items():
        marks = field.json_schema_extra or {}
        if marks.get("identity") is False or name in unread:
            continue
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            value = identity(value)
        elif isinstance(value, tuple):
            value = [identity(v) if isinstance(v, BaseModel) else v for v in value]
        elif marks.get("content") and value is not None:
            value = file_hash(config, name)
        elif marks.get("weights") and value is not None and is_local(value):
            value = _weights_hash(Path(value))
        found[name] = value
    return found


def cell_identity(config: CellConfig) -> dict:
    """What a cell's signature is computed from; how labels are voted counts where the reward needs them."""
    fields = {"schema": SCHEMA_VERSION, **identity(config)}
    if not config.reward.needs_labels:
        del fields["labels"]
    return fields


def baseline_identity(cell: dict) -> dict:
    """What the evaluation of the untrained model depends on: cells that agree on it share one baseline.

    Args:
        cell: the cell's own identity.
    """
    rollout = {k: v for k, v in cell["rollout"].items() if k != "temperature"}
    model = {k: v for k, v in cell["model"].items() if k != "learning_rate"}
    # The one problem that is trained on leaves the test problems: such cells have a baseline of their own.
    data = {k: v for k, v in cell["data"].items() if k != "name" and (k, v) != ("only", None)}
    kept = {k: cell[k] for k in ("schema", "evaluation", "prompt", "grading")}
    return {"stage": "baseline", **kept, "data": data, "model": model, "rollout": rollout}


def labels_identity(cell: dict) -> dict:
    """What the majority labels depend on: neither the reward, nor the seed, nor the algorithm.

    Args:
        cell: the identity of a cell that needs them.
    """
    data = {k: v for k, v in cell["data"].items() if k not in ("name", "test", "test_path")}
    rollout = {k: v for k, v in cell["rollout"].items() if k != "temperature"}
    model = {k: v for k, v in cell["model"].items() if k != "learning_rate"}
    kept = {k: cell[k] for k in ("schema", "prompt", "grading", "labels")}
    return {"stage": "labels", **kept, "data": data, "model": model, "rollout": rollout}


def signature(identity_fields: dict) -> str:
    """Twelve hex digits, independent of the order in which keys were typed."""
    canonical = json.dumps(identity_fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


@cache
def _weights_hash(path: Path) -> str:
    if not path.exists():
        raise UserError(f"model.path={path}: no such file or directory, and no hub id (those are ORGANISATION/NAME)")
    return "blake2b:" + content_hash(path)
