"""`docs/configuration.md`: every key of a cell, made from the schemas and from `conf/`.

    python -m sweep.plan.reference > docs/configuration.md

Types, ranges, descriptions and what counts in a run's identity come from the schemas. Defaults and choices come from
the files of `conf/`. A schema with alternatives (a reward, a cluster) has a table for each, with the defaults of the
first file that chooses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import MISSING, OmegaConf
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from models.prompts import PromptConfig
from rewards.base import Signal
from sweep.config.cell import CellConfig
from sweep.config.data import Filter
from sweep.config.keys import marks_of, models_in
from sweep.config.local import CONF, GROUP
from sweep.plan.files import configuration_files
from sweep.plan.local import ENTRY

TITLE = """# Configuration

Every key of a cell. `make docs` makes this page from the schemas and the files of `conf/`; edit those, not this page.

A key is given as an override, `key=value`, or in a file of your own ([add a model](add-a-model.md)). Any of them can
be an axis: `key=a,b`. `python launch.py --cfg job` prints the first cell composed.

* **Default**: the value that the default choice of the group sets. `= key` means that the value is taken from that key,
  *none* that a value must be given, and — that only some files set it. Steps, batches and the interval of checkpoints
  are those of `sizes=demo`; published models choose `sizes=published` ([sizes](paper.md#sizes)).
* **Counts**: whether the key is part of a run's identity ([identity](identity.md)). *no* means that attempts of one run
  may differ in it, and that each attempt records it. *at launch* means the same, except that `retry` cannot change it.
  *as `key`* means that the key only gives another its value. *by content* means that the file's content counts, not its
  name. *unless x* means that a run with the value x is the run that it was before the key existed.
"""
# What counts of sections that not every identity reads; tests/test_identity.py holds it.
COUNTS = {
    "grading": "Counts in the identity of evaluations and labels, and of trainings whose reward reads answers.",
    "labels": "Counts in the identity of labels, and of trainings whose reward needs them.",
    "evaluation": "Counts in the identity of evaluations, and in that of no training.",
}
_WORDS = {str: "text", int: "whole number", float: "number", bool: "`true` · `false`", NoneType: "`null`"}
_ASKED = re.compile(r"\$\{asked:(\w+),(.+)\}")  # a key of a benchmark, and its value unless it is set for all of them
_REFERENCE = re.compile(r"\$\{(?:oc\.select:)?([a-z_][\w.]*)(?:,null)?\}")


def page() -> str:
    """Return the page's text."""
    with configuration_files(None):
        parts = [TITLE, *_top(_defaults())]
        for name, field in CellConfig.model_fields.items():
            if models_in(field.annotation):
                parts += [f"## `{name}`\n", *_section(name, field)]
    return "\n".join(parts)


def _top(defaults: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table of the keys that belong to no section."""
    yield "## A cell\n"
    single = {n: f for n, f in CellConfig.model_fields.items() if not models_in(f.annotation)}
    yield _table([_row(name, field, defaults, "yes") for name, field in single.items()])


def _section(name: str, field: FieldInfo) -> Iterator[str]:
    """Yield the introduction of a section, and a table for each of its alternatives."""
    recorded = marks_of(field).get("identity") is False
    counts = COUNTS.get(name, "Nothing of it counts in a run's identity." if recorded else "")
    chosen = _choices(name)
    files = f" Choices: {' · '.join(f'`{name}={c}`' for c in chosen)}." if chosen else ""
    said = field.description or ""
    yield f"{said[:1].upper()}{said[1:]}.{files} {counts}".rstrip() + "\n"
    alternatives = models_in(field.annotation)
    for schema in alternatives:
        if len(alternatives) == 1:
            default = _defaults()[name]
        else:
            key, value = _discriminator(schema)
            default = _first_that_chooses(name, key, value)
            yield f"### `{name}.{key}={value}`\n\n{_summary(schema)}\n"
        yield _table(list(_rows(name, schema, default, "no" if recorded else "yes")))
        for part, of_part in schema.model_fields.items():
            if get_origin(of_part.annotation) is dict and len(models_in(of_part.annotation)) > 1:
                yield from _named(name, part, of_part)


def _named(group: str, part: str, field: FieldInfo) -> Iterator[str]:
    """Yield a table for each alternative of a mapping whose entries are files of `group` under names of their own.

    The keys of a prompt have a table of their own.
    """
    for schema in models_in(field.annotation):
        key, value = _discriminator(schema)
        sections = {choice: _defaults(f"{group}=[{choice}]")[group][part][choice] for choice in _choices(group)}
        choices = [choice for choice, section in sections.items() if section[key] == value]
        listed = " · ".join(f"`{choice}`" for choice in choices)
        yield f"### `{group}.{part}.NAME.{key}={value}`\n"
        yield f"{_summary(schema)} Files: {listed}; the defaults are those of `{group}={choices[0]}`.\n"
        yield _table(list(_rows(f"{group}.{part}.NAME", schema, sections[choices[0]], "yes", (PromptConfig,))))


def _rows(key: str, schema: type[BaseModel], defaults: Any, counts: str, around: tuple = ()) -> Iterator[str]:
    """Yield a row for each field of `schema`, those of its sections after their own.

    Args:
        around: the schemas that were shown in this table; one that comes again is not shown again.
    """
    shown = [*around, schema]
    values = defaults if isinstance(defaults, Mapping) else {}
    for name, field in schema.model_fields.items():
        yield _row(f"{key}.{name}", field, values, counts)
        inside = models_in(field.annotation)
        if len(inside) == 1 and inside[0] not in shown:
            shown.append(inside[0])
            marked = marks_of(field)
            of_parts = _counts(marked, counts) if marked.get("identity") is False else counts
            part = f"{key}.{name}.NAME" if get_origin(field.annotation) is dict else f"{key}.{name}"
            yield from _rows(part, inside[0], values.get(name), of_parts, tuple(shown))


def _row(key: str, field: FieldInfo, values: Mapping[str, Any], counts: str) -> str:
    kind = " ".join([shown_type(field.annotation), *_range(field)])
    default = _default(key.rpartition(".")[2], field, values)
    return f"| `{key}` | {kind} | {default} | {field.description} | {_counts(marks_of(field), counts)} |"


def _table(rows: list[str]) -> str:
    return "\n".join(["| key | type | default | meaning | counts |", "|---|---|---|---|---|", *rows, ""])


def shown_type(annotation: Any) -> str:
    """Return the type of a field in words."""
    if annotation == get_args(Filter)[0]:
        return "mapping: field → values"
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return shown_type(parts[0])
    if origin is Literal:
        return " · ".join(f"`{part}`" for part in parts)
    if origin is tuple:
        return f"list: {shown_type(parts[0])}"
    if origin is dict:
        return f"mapping: name → {shown_type(parts[1])}"
    if isinstance(annotation, type):
        return _WORDS.get(annotation, "section")
    of_parts = list(dict.fromkeys(map(shown_type, parts)))
    return " · ".join(of_parts)


def _range(field: FieldInfo) -> list[str]:
    """Return the bounds of a field's values in words."""
    words = []
    for bound in field.metadata:
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            if hasattr(bound, name):
                words.append(f"{sign} {getattr(bound, name):g}")
        if hasattr(bound, "min_length"):
            words.append("not empty")
        if hasattr(bound, "max_length"):
            words.append(f"at most {bound.max_length} characters")
    return [f"({', '.join(words)})"] if words else []


def _default(name: str, field: FieldInfo, values: Mapping[str, Any]) -> str:
    if name not in values:
        return "—" if field.is_required() else _shown(field.get_default(call_default_factory=True))
    value = values[name]
    if models_in(field.annotation) and isinstance(value, Mapping | list):
        return "see below" if value else _shown(value)
    if value == MISSING:
        return "*none*"
    if isinstance(value, str) and (own := _ASKED.fullmatch(value)):
        return _shown(own[2])
    if isinstance(value, str) and (reference := _REFERENCE.fullmatch(value)):
        return f"= `{reference[1]}`"
    return _shown(value)


def _shown(value: Any) -> str:
    """Return a value as it is written in YAML."""
    if isinstance(value, Signal):
        return f"`{value.name}`"
    if value is None or isinstance(value, bool):
        return f"`{str(value).lower().replace('none', 'null')}`"
    if isinstance(value, list | tuple):
        return f"`[{', '.join(map(str, value))}]`"
    if value == "":
        return '`""`'
    text = f"{value:g}" if isinstance(value, float) else str(value).replace("\n", " ")
    return f"`{text if len(text) <= 60 else text[:57] + '…'}`"


def _counts(marks: Mapping[str, Any], around: str) -> str:
    """Return whether a field counts in an identity; `around`: whether its section does."""
    if "default_of" in marks:
        return f"as `{marks['default_of']}`"
    if marks.get("at_launch"):
        return "at launch"
    if marks.get("identity") is False:
        return "no"
    if marks.get("content"):
        return "by content"
    return f"unless {_shown(marks['neutral'])}" if "neutral" in marks and around == "yes" else around


def _choices(group: str) -> list[str]:
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def _discriminator(schema: type[BaseModel]) -> tuple[str, str]:
    """Return the key that tells an alternative from the others, and its value there."""
    return next(
        (name, get_args(field.annotation)[0])
        for name, field in schema.model_fields.items()
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
    )


def _first_that_chooses(group: str, key: str, value: str) -> Any:
    """Return the section of the first file of `group` that sets `key` to `value`; one of that name comes first."""
    files = sorted(_choices(group), key=lambda choice: choice != value)
    found = (_defaults(f"{group}={choice}")[group] for choice in files)
    return next(section for section in found if section.get(key) == value)


@cache
def _defaults(*choices: str) -> Any:
    """Return the composed files, interpolations as they are written, without the settings of this machine."""
    has_settings = GlobalHydra.instance().config_loader().get_group_options(GROUP)
    without = [f"~{ENTRY}"] if has_settings else []
    return OmegaConf.to_container(compose("config", overrides=[*without, *choices]), resolve=False)


def _summary(schema: type[BaseModel]) -> str:
    return " ".join((schema.__doc__ or "").split("\n\n")[0].split())


if __name__ == "__main__":
    print(page(), end="")
