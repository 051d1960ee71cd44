"""Explain errors of Hydra and pydantic in words for people: which key, what is wrong, what to do."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import get_args

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from models.config import LABEL
from rewards.signals import REWARD_NAMES, options_of
from rewards.simple import TARGET
from sweep.config.algorithm_rules import BIASED_SAMPLING, WHY_BIASED
from sweep.config.cell import CellConfig
from sweep.config.keys import REPLACED, known_keys
from sweep.errors import HIDDEN
from sweep.plan.overrides import fields_at, for_the_shell

UNIONS = {name for name, field in CellConfig.model_fields.items() if field.discriminator}  # schemas by a choice
PATTERNS = {
    LABEL: "letters, digits, '.', '_' and '-' only, a letter or digit first: it becomes a file name",
    TARGET: "should be package.module:function",
}


def explain_validation(error: ValidationError, typed: Mapping[str, str] | None = None) -> list[str]:
    """Return a line for each fault, which begins with its key.

    Args:
        typed: the values as they stand on the command line, by key.
    """
    return [_explain_fault(fault, typed or {}) for fault in error.errors()]


def _explain_fault(fault: ErrorDetails, typed: Mapping[str, str]) -> str:
    where, tag = _without_tags(fault["loc"])
    key, kind, said = ".".join(where), fault["type"], fault["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden" and len(where) > 2 and where[0] == "reward":
        return f"{key}: {tag} has no such option{near_misses(where[-1], options_of(tag))}"
    if kind == "extra_forbidden":
        return unknown_key(key)
    if kind == "union_tag_invalid" and where[0] == "reward":
        named = fault["ctx"]["tag"]
        near = near_misses(named, REWARD_NAMES)
        return f"{key}: no reward is named {named}{near}\n  there are: {', '.join(REWARD_NAMES)}"
    if kind == "missing":
        return f"{key}: has no default; add {key}=…"
    if kind == "union_tag_not_found" and where[:2] == ["evaluation", "benchmarks"]:
        return f"{key}: no benchmark of this name is chosen; choose it with evaluation=[…], or set {key}.source"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return f"{key}: {said}"
    if re.match(r"[a-z_]+=", said):  # a check of a whole section, whose message begins with its key
        return f"{key}.{said}"
    secret = where[:2] == ["cluster", "env"]
    given = "" if isinstance(fault["input"], dict) or secret else f"={textwrap.shorten(repr(fault['input']), 80)}"
    if kind == "string_pattern_mismatch":
        said = PATTERNS.get(fault["ctx"]["pattern"], said)
    if kind == "model_type":
        parts = [k for k in known_keys() if k.startswith(f"{key}.") and k.count(".") == len(where)]
        said = f"is a section; set {' and '.join(f'{part}=…' for part in parts)}"
    if kind == "string_type" and isinstance(fault["input"], dict) and key not in typed:
        said = f"takes one text, and has no {' or '.join(map(str, fault['input']))} within it"
    elif kind == "string_type" and fault["input"] is not None:
        form = for_the_shell(key, HIDDEN if secret else typed[key]) if key in typed else f'{where[-1]}: "…"'
        said = f"should be text; quote the value: {form}"
    return f"{key}{given}: {said}"


def _without_tags(location: tuple[int | str, ...]) -> tuple[list[str], str]:
    """Return a location without the tags of unions, which follow the union's field; and the last tag."""
    where, tag, place = [], "", 0
    while place < len(location):
        part = location[place]
        where.append(str(part))
        in_list = isinstance(part, int) and where[-2] == "rewards"
        if part in UNIONS or in_list or where[:-1] == ["evaluation", "benchmarks"]:
            tag = str(location[place + 1]) if place + 1 < len(location) else tag
            place += 1
        place += 1
    return where, tag


def explain_hydra(error: HydraException) -> str:
    """Return a message for an error of Hydra, in Hydra's own words only if they say what to do."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        group, _, choice = error.missing_cfg_file.partition("/")
        options = list(error.options or _choices_of(group))
        near = near_misses(_as_file_name(choice, options), options)
        of_a_hub = (
            "; a hub id goes into model.path, beside the model file of its family"
            if group == "model" and "/" in choice
            else ""
        )
        return f"{group}={choice}: no such {group}{of_a_hub}{near}\n  there are: {', '.join(options)}"
    if match := re.match(r"Multiple values for (\S+)\. .*'override [^:]*: ([^']*)'", str(error)):
        return f"+{match[1]}={match[2]}: there is a {match[1]} already; leave the + out: {match[1]}={match[2]}"
    if match := re.search(r"Could not override '([^']+)'", str(error)):
        key = match.group(1)
        reason = next((line for line in str(error.__cause__ or "").splitlines() if line), "")
        wrong_key = "not in struct" in reason or not reason
        return unknown_key(key) if wrong_key else f"{key}: {reason}"
    if isinstance(error, ConfigCompositionException) and error.__cause__ is not None:
        return str(error.__cause__).splitlines()[0]
    return str(error).splitlines()[0] if str(error).startswith("Could not delete") else str(error)


def _as_file_name(choice: str, options: Sequence[str]) -> str:
    """Return a choice in the manner of file names; of a hub id its last part, but of a directory's choice all of it."""
    place, _, last = choice.lower().rpartition("/")
    name = re.sub(r"[^a-z0-9]", "_", last)
    return f"{place}/{name}" if any(option.startswith(f"{place}/") for option in options) else name


def _choices_of(group: str) -> list[str]:
    """Return the names of a group's files, which Hydra does not tell where a list of choices names an unknown one."""
    hydra = GlobalHydra.instance()
    return hydra.config_loader().get_group_options(group, config_name="config") if hydra.is_initialized() else []


def unknown_key(key: str) -> str:
    """Return the message for a key that the configuration does not have."""
    if key in BIASED_SAMPLING:
        return f"{key}: {WHY_BIASED}"
    if key in REPLACED:
        return f"{key}: no such key any more; in its place there is {REPLACED[key]}"
    if "/" in key:
        group, _, place = key.partition("/")
        return f"{key}: no such key; a choice in a directory of its group is written {group}={place}/…"
    if key in known_keys():
        return f"{key}: the chosen {key.partition('.')[0]} has no such option{_choices_that_have(key)}"
    parent = key.rpartition(".")[0]
    siblings = [known for known in known_keys() if known.rpartition(".")[0] == parent]
    return f"{key}: no such key{near_misses(key, siblings) or near_misses(key, known_keys())}"


def _choices_that_have(key: str) -> str:
    """Return the kinds of a section that take a key which the chosen kind does not, as the end of a message."""
    section, _, option = key.partition(".")
    tag = CellConfig.model_fields[section].discriminator
    alternatives = fields_at([section]) if isinstance(tag, str) else []
    kinds = [kind for kind in alternatives if option.partition(".")[0] in kind.model_fields]
    tags = [f"{tag}={get_args(kind.model_fields[tag].annotation)[0]}" for kind in kinds]
    return f"; there is one with {section}.{f' or {section}.'.join(tags)}" if tags else ""


def near_misses(word: str, words: Sequence[str]) -> str:
    """Return a question that names what `word` was likely meant to be; "" if nothing is near."""
    start = word.rpartition(".")[0]  # the part that all of them share does not help to compare them
    last = {w.removeprefix(f"{start}."): w for w in words}
    near = difflib.get_close_matches(word.removeprefix(f"{start}."), last, n=3, cutoff=0.6)
    return f". Did you mean {' or '.join(last[w] for w in near)}?" if near else ""
