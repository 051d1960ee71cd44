"""Fix the tracking settings of runs: what the configuration leaves open is taken from the shell's variables."""

from __future__ import annotations

import configparser
import netrc
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sweep.config.cell import DEFAULT_PROJECT, CellConfig, TrackingConfig
from sweep.config.tracking_rules import PUBLIC, RULES, faults_in
from sweep.config.wandb_limits import OF_ONE_RUN
from sweep.program import program

MODES = {"online": "online", "run": "online", "offline": "offline", "dryrun": "offline", "disabled": "disabled"}


@dataclass(frozen=True)
class Resolved:
    """A tracking section with nothing left open, lines to print about it, and the faults that stand in the way."""

    tracking: TrackingConfig
    said: list[str]
    faults: list[str] = field(default_factory=list)


def resolve(config: CellConfig, shell: Mapping[str, str]) -> Resolved:
    """Fix what `tracking` leaves open, from the environment that the jobs will have.

    Args:
        shell: the environment of the launch, which jobs inherit; `cluster.env` counts before it.
    """
    of_jobs = {**shell, **config.cluster.env}
    given = {name: value for name, value in of_jobs.items() if value}
    asked = config.tracking
    base_url = asked.base_url or given.get("WANDB_BASE_URL") or _url_of_login(given)
    mode, why, fault = _mode(asked, given, base_url)
    if mode == "disabled":
        said = [f"W&B: disabled{why}"] if asked.mode == "auto" else _not_taken(asked, given)
        return Resolved(asked.model_copy(update={"mode": mode}), said)
    made = asked.model_copy(
        update={
            "mode": mode,
            "project": asked.project or given.get("WANDB_PROJECT") or DEFAULT_PROJECT,
            "entity": asked.entity or given.get("WANDB_ENTITY"),
            "tags": asked.tags or _tags_of(given),
            "base_url": base_url,
        }
    )
    taken = [key for key in RULES if not getattr(asked, key) and _variable(key) in given]
    faults = [fault] if fault else faults_in({_variable(key): key for key in taken}, made)
    return Resolved(made, [_summary(made, why, taken), *_not_taken(asked, given)], faults)


def tracking_obstacles(configs: Iterable[CellConfig]) -> list[str]:
    """Return a message for each value in the shell's variables that W&B would refuse."""
    distinct = {config.tracking: config for config in configs}.values()
    return list(dict.fromkeys(fault for config in distinct for fault in resolve(config, os.environ).faults))


def _mode(asked: TrackingConfig, given: Mapping[str, str], base_url: str | None) -> tuple[str, str, str | None]:
    """Return the mode, why it was chosen if nobody typed it, and a fault."""
    if asked.mode != "auto":
        return asked.mode, "", None
    if given.get("WANDB_DISABLED", "").lower() in ("1", "true", "yes", "on"):
        return "disabled", " (WANDB_DISABLED)", None
    if (typed := given.get("WANDB_MODE")) is not None:
        fault = f"WANDB_MODE={typed}: should be one of {', '.join(MODES)}; correct it, or set tracking.mode"
        return MODES.get(typed, "offline"), " (WANDB_MODE)", None if typed in MODES else fault
    if has_key(given, base_url or PUBLIC):
        return "online", "", None
    later = f"`wandb login`, then `{program()} sync` sends the runs"
    return "offline", f", because there is no API key ({later})", None


def _tags_of(given: Mapping[str, str]) -> tuple[str, ...]:
    """Return the tags in WANDB_TAGS, which are separated by commas."""
    return tuple(dict.fromkeys(tag.strip() for tag in given.get("WANDB_TAGS", "").split(",") if tag.strip()))


def _variable(key: str) -> str:
    return f"WANDB_{key.upper()}"


def _summary(made: TrackingConfig, why: str, taken: Collection[str]) -> str:
    parts = [f"W&B: {made.mode}{why}"]
    for key in RULES:
        if value := getattr(made, key):
            name = "server" if key == "base_url" else key
            shown = value if isinstance(value, str) else ", ".join(value)
            parts.append(f"{name} {shown}" + (f" ({_variable(key)})" if key in taken else ""))
    return "; ".join(parts)


def _not_taken(asked: TrackingConfig, given: Mapping[str, str]) -> list[str]:
    """Return a line for each variable that a user of W&B may expect to count and that does not."""
    typed = {key: getattr(asked, key) for key in ("mode", *RULES)}
    if asked.mode == "auto":
        del typed["mode"]
    if asked.mode == "disabled":
        typed = {"mode": asked.mode}
    texts = {key: value if isinstance(value, str) else ",".join(value) for key, value in typed.items() if value}
    lines = [
        f"W&B: tracking.{key} counts, not {_variable(key)}"
        for key, text in texts.items()
        if given.get(_variable(key), text) != text
    ]
    own = [name for name in OF_ONE_RUN if name in given and name != "WANDB_SERVICE"]
    if own and asked.mode != "disabled":
        lines.append(f"W&B: {', '.join(own)} not used: each run's id, name, group and directory follow from its cell")
    return lines


def has_key(given: Mapping[str, str], base_url: str) -> bool:
    """Return whether an API key for the server `base_url` is in the variables `given`, or was stored by a login."""
    if "WANDB_API_KEY" in given or "WANDB_IDENTITY_TOKEN_FILE" in given:
        return True
    host = base_url.split("//")[-1].split(":")[0].split("/")[0]
    try:
        return netrc.netrc(given.get("NETRC")).authenticators(host) is not None
    except (FileNotFoundError, netrc.NetrcParseError):
        return False


def _url_of_login(given: Mapping[str, str]) -> str | None:
    """Return the server that `wandb login --host` stored; None if it stored none, or nothing that can be read."""
    folder = given.get("WANDB_CONFIG_DIR") or Path("~/.config/wandb").expanduser()
    settings = configparser.ConfigParser()
    try:
        settings.read(Path(folder) / "settings")
    except configparser.Error:
        return None
    return settings.get("default", "base_url", fallback=None)
