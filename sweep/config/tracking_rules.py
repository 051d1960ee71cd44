"""The rules for `tracking`: projects, entities, tags and addresses that W&B would refuse are refused here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sweep.config.cell import TrackingConfig
from sweep.config.wandb_limits import LONGEST_PROJECT, LONGEST_TAG, NOT_IN_PROJECTS

PUBLIC = "https://api.wandb.ai"


def tracking_faults(tracking: TrackingConfig) -> list[str]:
    """Return a message for each key that W&B would refuse; the list is empty where it would take them all."""
    return faults_in({f"tracking.{key}": key for key in RULES}, tracking)


def faults_in(names: Mapping[str, str], tracking: TrackingConfig) -> list[str]:
    """Return a line for each faulty value.

    Args:
        names: the key of each value, by what the message calls the value.
    """
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
