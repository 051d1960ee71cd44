"""Read YAML files of a configuration so that every value is what the file shows.

YAML 1.1 reads some plain words as something else: `yes` is true, `12:30` is 750, `010` is 8, `1.10` is 1.1. A value is
a number here only if Python writes that number with the same characters. Everything else stays text, which the schema
reads as a number if the field is one. A name, a time limit or an answer therefore stays what was written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader

from sweep.errors import UserError

_OmegaConfs: Any = get_yaml_loader()


class AsWritten(_OmegaConfs):
    """OmegaConf's YAML loader, in which a plain value that Python would write differently stays text."""


def _number(loader: AsWritten, node: yaml.ScalarNode) -> int | float | str:
    text = loader.construct_scalar(node)
    for kind in (int, float):
        try:
            if str(kind(text)) == text:
                return kind(text)
        except ValueError:
            continue
    named = text.lower().lstrip("+-") in (".inf", ".nan")
    return loader.construct_yaml_float(node) if named else text


def _truth(loader: AsWritten, node: yaml.ScalarNode) -> bool | str:
    text = loader.construct_scalar(node)
    return {"true": True, "false": False}.get(text.lower(), text)


for _tag, _construct in (("int", _number), ("float", _number), ("bool", _truth)):
    AsWritten.add_constructor(f"tag:yaml.org,2002:{_tag}", _construct)


def read_mapping(file: Path) -> tuple[dict, str]:
    """Return the values of a file, and its text.

    Raises:
        UserError: it is no YAML mapping; with its line.
    """
    try:
        text = file.read_text(encoding="utf-8")
        values = yaml.load(text, AsWritten) or {}
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        raise UserError(f"{file}{_line(error)}: not YAML: {error.problem}") from None
    if not isinstance(values, dict):
        raise UserError(f"{file}: should hold `key: value` lines, and holds {str(values)!r}")
    return values, text


def _line(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f", line {mark.line + 1}" if mark else ""
