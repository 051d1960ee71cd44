"""Where runs are tracked: what W&B would refuse, and what is taken from the shell where the configuration is open."""

from __future__ import annotations

import configparser
import netrc
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sweep.run.config import DEFAULT_PROJECT, CellConfig, SlurmCluster, TrackingConfig
from sweep.run.wandb_rules import LONGEST_PROJECT, LONGEST_TAG, NOT_IN_PROJECTS, OF_ONE_RUN

MODES = {"online": "online", "run": "online", "offline": "offline", "dryrun": "offline", "disabled": "disabled"}
PUBLIC = "https://api.wandb.ai"


def tracking_faults(tracking: TrackingConfig) -> list[str]:
    """What W&B would refuse of the keys that are set; empty where it would take them all."""
    return _faults({f"tracking.{key}": key for key in RULES}, tracking)


def _faults(names: Mapping[str, str], tracking: TrackingConfig) -> list[str]:
    """A line for each faulty value; `names`: what to call a value, and its key."""
    found = []
    for name, key in names.items():
        value = getattr(tracking, key)
        if value is not None and (fault := RULES[key](value)):
            shown = value if isinstance(value, str) else f"[{','.join(tag or chr(34) * 2 for tag in value)}]"
            found.append(f"{name}={shown}: {fault}")
    return found


def _project_fault(project: str) -> str | None:
    bad = [character for character in NOT_IN_PROJECTS if character in project]
    if project.count("/") == 1 and bad == ["/"] and all(map(str.strip, project.split("/"))):
        entity, name = project.split("/")
        return f"W&B takes no / in a project's name; set tracking.entity={entity} tracking.project={name}"
    if bad:
        return f"W&B takes no {' '.join(bad)} in a project's name; leave it out, or write -"
    if not project.strip() or project != project.strip() or not project.isprintable():
        return "a project's name has a character that shows at either end, and no line breaks; or leave it null"
    if len(project) > LONGEST_PROJECT:
        return f"{len(project)} characters, and W&B takes {LONGEST_PROJECT} in a project's name; shorten it"
    return None


def _entity_fault(entity: str) -> str | None:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", entity):
        return (
            "no name of a W&B user or team, which has letters, digits, - and _ alone, as in its page's address; leave "
            "it null for the one that the API key belongs to"
        )
    return None


def _tags_fault(tags: Sequence[str]) -> str | None:
    for tag in tags:
        if not tag.strip():
            return "a tag is empty; leave it out"
        if len(tag) > LONGEST_TAG:
            return f"the tag {tag[:20]}… has {len(tag)} characters, and W&B takes {LONGEST_TAG}; shorten it"
        if tags.count(tag) > 1:
            return f"{tag} stands there more than once; leave one out"
    return None


def _url_fault(url: str) -> str | None:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
        return f"no address of a server, such as {PUBLIC}"
    return None


RULES = {"project": _project_fault, "entity": _entity_fault, "tags": _tags_fault, "base_url": _url_fault}


@dataclass(frozen=True)
class Resolved:
    """A tracking section with nothing left open, what to say of it, and what stands in the way."""

    tracking: TrackingConfig
    said: list[str]
    faults: list[str] = field(default_factory=list)


def resolve(config: CellConfig, shell: Mapping[str, str]) -> Resolved:
    """Settle what `tracking` leaves open, from the environment that the jobs will have.

    Args:
        shell: the environment of the launch, which jobs inherit; `cluster.env` counts before it.
    """
    given = {**shell, **(config.cluster.env if isinstance(config.cluster, SlurmCluster) else {})}
    given = {name: value for name, value in given.items() if value}
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
    faults = [fault] if fault else _faults({_variable(key): key for key in taken}, made)
    return Resolved(made, [_summary(made, why, taken), *_not_taken(asked, given)], faults)


def tracking_obstacles(configs: Iterable[CellConfig]) -> list[str]:
    """What in this shell's variables W&B would refuse, each fault once."""
    distinct = {config.tracking: config for config in configs}.values()
    return list(dict.fromkeys(fault for config in distinct for fault in resolve(config, os.environ).faults))


def _mode(asked: TrackingConfig, given: Mapping[str, str], base_url: str | None) -> tuple[str, str, str | None]:
    """Mode, why it is that one where nobody typed it, and a fault."""
    if asked.mode != "auto":
        return asked.mode, "", None
    if given.get("WANDB_DISABLED", "").lower() in ("1", "true", "yes", "on"):
        return "disabled", " (WANDB_DISABLED)", None
    if (typed := given.get("WANDB_MODE")) is not None:
        fault = f"WANDB_MODE={typed}: should be one of {', '.join(MODES)}; correct it, or set tracking.mode"
        return MODES.get(typed, "offline"), " (WANDB_MODE)", None if typed in MODES else fault
    if _has_key(given, base_url or PUBLIC):
        return "online", "", None
    return "offline", ", because there is no API key (`wandb login`, then `python -m sweep sync` sends the runs)", None


def _tags_of(given: Mapping[str, str]) -> tuple[str, ...]:
    """WANDB_TAGS separates its tags by commas."""
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
    """A line for each variable that a user of W&B may expect to count and that does not."""
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


def _has_key(given: Mapping[str, str], base_url: str) -> bool:
    if "WANDB_API_KEY" in given or "WANDB_IDENTITY_TOKEN_FILE" in given:
        return True
    host = base_url.split("//")[-1].split(":")[0].split("/")[0]
    try:
        return netrc.netrc(given.get("NETRC")).authenticators(host) is not None
    except (FileNotFoundError, netrc.NetrcParseError):
        return False


def _url_of_login(given: Mapping[str, str]) -> str | None:
    """The server that `wandb login --host` wrote down; None where it wrote none, or nothing that can be read."""
    folder = given.get("WANDB_CONFIG_DIR") or Path("~/.config/wandb").expanduser()
    settings = configparser.ConfigParser()
    try:
        settings.read(Path(folder) / "settings")
    except configparser.Error:
        return None
    return settings.get("default", "base_url", fallback=None)
