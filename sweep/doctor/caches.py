"""Check what cells read from caches: weights and data sets of the hub, its token, and the key for W&B.

Whether a token or a key is there is said; it is never shown.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.config import is_local
from models.hub import commit_of
from models.mini.shipped import shipped_mini
from sweep.config.cell import CellConfig
from sweep.config.data import HubData
from sweep.config.evaluation import HubBenchmark
from sweep.config.tracking_rules import PUBLIC
from sweep.doctor.finding import Finding, broken, ok, warning
from sweep.plan.tracking import has_key, resolve

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
ON = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class Source:
    """Something that a cell reads. kind: "model" or "dataset". state: a sentence without its subject, such as "in the
    cache, commit abc"; at_hand: whether it is there. from_hub: whether the hub has it.
    """

    kind: str
    name: str
    state: str
    at_hand: bool
    from_hub: bool = True


@dataclass(frozen=True)
class Hub:
    """The settings of the hub here. offline: the variables that forbid its use. token: whether there is one."""

    cache: str
    offline: tuple[str, ...]
    token: bool


def gather(configs: Iterable[CellConfig]) -> tuple[Hub, list[Source]]:
    """Return the hub's settings, and every model and data set that the cells read, each once."""
    from huggingface_hub import get_token

    offline = tuple(name for name in OFFLINE if os.environ.get(name, "").lower() in ON)
    found: dict[Source, None] = {}
    for config in configs:
        found |= dict.fromkeys([_model(config), *_data_sets(config)])
    return Hub(hub_cache(), offline, get_token() is not None), [*found]


def hub_cache() -> str:
    """Return the directory in which this user keeps what is fetched from the hub."""
    from huggingface_hub import constants

    return str(constants.HF_HUB_CACHE)


def reads_hub(config: CellConfig) -> bool:
    """Return whether a cell reads a model or a data set of the hub."""
    return any(source.from_hub for source in (_model(config), *_data_sets(config)))


def _model(config: CellConfig) -> Source:
    model = config.model
    if model.mini is not None:
        if shipped_mini(model.family, model.mini):
            return Source("model", model.name, "comes with the project", True, from_hub=False)
        return Source("model", model.name, "is made by the first job that needs it, in a minute", True, from_hub=False)
    assert model.path is not None  # the schema refuses a model without weights
    if is_local(model.path):
        there = Path(model.path).exists()
        return Source("model", model.name, model.path if there else f"{model.path} is missing", there, from_hub=False)
    return _in_cache("model", model.path, model.revision)


def _data_sets(config: CellConfig) -> Iterator[Source]:
    data = config.data
    splits = [s for s in (data.train, data.test) if s is not None] if isinstance(data, HubData) else []
    splits += [one for one in config.evaluation.benchmarks.values() if isinstance(one, HubBenchmark)]
    for split in splits:
        yield _in_cache("dataset", split.path, split.revision)


def _in_cache(kind: str, name: str, revision: str | None) -> Source:
    from huggingface_hub import errors, snapshot_download

    try:
        place = Path(snapshot_download(name, revision=revision, repo_type=kind, local_files_only=True))
    except (errors.LocalEntryNotFoundError, OSError, ValueError):
        return Source(kind, name, "is not in the cache", False)
    if kind == "model" and (lacking := _lacking_weights(place)):
        return Source(kind, name, f"is in the cache without {lacking}", False)
    # Disks that are tidied up by age lose files to which the cache still has links.
    if gone := sorted(file.name for file in place.rglob("*") if file.is_symlink() and not file.exists()):
        return Source(kind, name, f"is in the cache without {gone[0]}", False)
    return Source(kind, name, f"in the cache, commit {(commit_of(place) or '')[:12]}", True)


def _lacking_weights(place: Path) -> str:
    """Return which weights a cached model lacks, in words; "" if it has all."""
    for index in (*place.glob("*.safetensors.index.json"), *place.glob("*.bin.index.json")):
        try:
            files = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        except (OSError, ValueError, KeyError, TypeError):
            return f"a whole {index.name}"
        lacking = [name for name in files if not (place / name).exists()]
        if len(lacking) < len(files) or not _single_files(place):
            return f"{len(lacking)} of {len(files)} files of weights" if lacking else ""
    return "" if _single_files(place) else "weights"


def _single_files(place: Path) -> list[Path]:
    return [file for kind in ("*.safetensors", "*.bin") for file in place.glob(kind) if file.exists()]


def judge(hub: Hub, sources: Iterable[Source], prefetch: str) -> Iterator[Finding]:
    """Yield what is missing; `prefetch`: the command that fetches it."""
    sources = list(sources)
    missing = [one for one in sources if not one.at_hand and one.from_hub]
    for one in sources:
        if one.at_hand:
            yield ok(f"cache.{one.kind}", f"{one.kind} {one.name}: {one.state}")
        elif not one.from_hub:
            yield broken("cache.model", f"{one.kind} {one.name}: {one.state}", "model.path=DIR")
    for kind in dict.fromkeys(one.kind for one in missing):
        those = [f"{kind} {one.name} {one.state}" for one in missing if one.kind == kind]
        what = f"{'; '.join(those)} ({hub.cache})"
        if hub.offline:
            seen, name = f"{what}, and {hub.offline[0]} forbids to fetch it", hub.offline[0]
            yield broken(f"cache.{kind}", seen, f"{prefetch}, where there is a network and {name} is unset")
        else:
            yield warning(f"cache.{kind}", f"{what}: the first job fetches it", prefetch)
    if hub.token:
        yield ok("hub.token", "there is a token for the hub")
    elif missing:
        seen = "no token for the hub: gated models, such as Meta's, cannot be fetched"
        yield warning("hub.token", seen, "hf auth login, or HF_TOKEN")
    else:
        yield ok("hub.token", "no token for the hub, and nothing is to be fetched from it")


def judge_tracking(config: CellConfig, shell: Mapping[str, str]) -> Iterator[Finding]:
    """Yield whether runs will reach W&B; `shell`: the environment that a launch has."""
    resolved = resolve(config, shell)
    for fault in resolved.faults:
        yield broken("wandb.settings", fault, "correct the variable, or set the key")
    tracking = resolved.tracking
    given = {name: value for name, value in {**shell, **config.cluster.env}.items() if value}
    if tracking.mode == "online" and not has_key(given, tracking.base_url or PUBLIC):
        yield broken("wandb.key", "tracking.mode=online, and there is no API key", "wandb login, or WANDB_API_KEY")
    elif tracking.mode == "offline" and config.tracking.mode == "auto":
        yield warning("wandb.key", resolved.said[0], "wandb login, or tracking.mode=offline to be silent")
    elif not resolved.faults:
        yield ok("wandb.key", resolved.said[0] if resolved.said else f"W&B: {tracking.mode}")
