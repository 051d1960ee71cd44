"""Overrides as people type them: `key=value` in Hydra's grammar, where a field of text keeps the text.

Hydra reads `1e5` as a number wherever it stands. A name, an account or a revision is text, so that here the schema
says which values keep the characters that were typed. A value that Hydra's grammar does not take is taken as text
where that is all it can mean, and refused with the quoted form otherwise.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import omegaconf.grammar_parser
from antlr4 import CommonTokenStream, InputStream
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import create_functions
from hydra.core.override_parser.overrides_visitor import HydraErrorListener, HydraOverrideVisitor
from hydra.core.override_parser.types import ChoiceSweep, Key, Override, Sweep
from hydra.errors import HydraException
from hydra.grammar.gen.OverrideLexer import OverrideLexer
from hydra.grammar.gen.OverrideParser import OverrideParser
from omegaconf.errors import GrammarParseError
from pydantic import BaseModel

from sweep.config.cell import CellConfig
from sweep.errors import HIDDEN, UserError, without_secrets

SWEEPS = "range(0,3), choice(a,b) and glob(a*)"
_FUNCTIONS = tuple(create_functions().functions)
_LINE = re.compile(r"(?P<key>[+~]*[\w$][\w$./@:-]*)=(?P<value>.*)", re.S)
_UNCLEAR = re.compile(rf"[\[{{(]|(?:{'|'.join(_FUNCTIONS)})\(|.*[,'\"\\\n]", re.S)  # may be more than one text


def parse(line: str, loader: ConfigLoader | None = None) -> Override:
    """Return the override that `line` stands for; its `input_line` is what was typed.

    Args:
        loader: what `glob()` looks choices up in.
    Raises:
        UserError: it cannot be read; with the quoted form, ready for a shell, where quoting is the remedy.
    """
    try:
        found = _read(line)
    except HydraException as error:
        found = _read(_quoted_or_refused(line, error))
    found.input_line, found.config_loader = line, loader
    shown, value = without_secrets(line), found.value()
    if _sweeps_within(value):
        raise UserError(f"{shown}: a sweep within a list or a sweep means nothing; write its values out")
    if isinstance(value, str) and "${" in value:
        try:
            omegaconf.grammar_parser.parse(value)
        except GrammarParseError:
            raise UserError(f"{shown}: ${{ begins a reference to another key, and this one is not whole") from None
    return found


def typed_line(override: Override) -> str:
    """Return the line that `override` was parsed from."""
    assert override.input_line is not None  # `parse` keeps it
    return override.input_line


def _sweeps_within(value: Any) -> bool:
    """Return whether a list, a mapping or the choices of a sweep contain a sweep."""
    if isinstance(value, ChoiceSweep):
        parts = value.list
    elif isinstance(value, dict | list):
        parts = list(value.values() if isinstance(value, dict) else value)
    else:
        return False
    return any(isinstance(part, Sweep) or _sweeps_within(part) for part in parts)


def in_hydras_grammar(line: str) -> str:
    """Return `line`, its value quoted if the grammar does not take it and it can only be one text.

    Raises:
        UserError: it cannot be read.
    """
    try:
        _read(line)
    except HydraException as error:
        return _quoted_or_refused(line, error)
    return line


def _quoted_or_refused(line: str, error: HydraException) -> str:
    text = _as_one_text(line) or _environment_in_other_words(line)
    if text is None:
        raise UserError(_unreadable(line, error)) from None
    return text


def one_value(line: str) -> str:
    """Return the text that a single override gives its key.

    Raises:
        UserError: it cannot be read, or gives several values.
    """
    found = parse(line)
    if found.is_sweep_override():
        key, _, value = line.partition("=")
        raise UserError(
            f"{line}: one value is wanted; quote it if the comma belongs to it: {for_the_shell(key, value)}"
        )
    return str(found.value())


def quoted(text: str) -> str:
    """Return `text` as a quoted value of Hydra's grammar, whatever characters it holds."""
    escaped = re.sub(r'(\\*)("|$)', lambda m: 2 * m[1] + ('\\"' if m[2] else ""), text)
    return f'"{escaped}"'


def override(key: str, value: str) -> str:
    """Return `key=value`, its value quoted if Hydra's grammar would read it as something else."""
    plain = f"{key}={value}"
    try:
        return plain if _read(plain).value() == value else f"{key}={quoted(value)}"
    except HydraException:
        return f"{key}={quoted(value)}"


def for_the_shell(key: str, value: str) -> str:
    """Return what to paste into a shell so that `key` becomes the text `value`."""
    return shlex.quote(f"{key}={quoted(value)}")


def with_output_dir(overrides: Sequence[str], typed: str | None) -> list[str]:
    """Return `overrides` with the output directory that `--output-dir` named, if it did.

    Raises:
        UserError: an override names one, too.
    """
    if typed is None:
        return list(overrides)
    if twice := [line for line in overrides if line.startswith("output_dir=")]:
        raise UserError(f"--output-dir {typed} and {twice[-1]}: both name the output directory; leave one out")
    return [*overrides, override("output_dir", typed)]


def fields_at(path: Sequence[str]) -> list[Any]:
    """Return the types that the schema allows at a dotted path, one for each alternative; empty for no such key."""
    found = [CellConfig]
    for part in path:
        inside = []
        for kind in found:
            if isinstance(kind, type) and issubclass(kind, BaseModel) and part in kind.model_fields:
                inside += _alternatives(kind.model_fields[part].annotation)
            elif get_origin(kind) is dict:
                inside += _alternatives(get_args(kind)[1])
        found = inside
    return found


def marks_along(key: str) -> Iterator[tuple[str, dict]]:
    """Yield the marks of the fields on the way to a dotted key, each with the dotted key of its field."""
    path = key.split(".")
    for depth, part in enumerate(path):
        for kind in fields_at(path[:depth]):
            field = kind.model_fields.get(part) if isinstance(kind, type) and issubclass(kind, BaseModel) else None
            if field and isinstance(field.json_schema_extra, dict):
                yield ".".join(path[: depth + 1]), field.json_schema_extra


def is_recorded(key: str) -> bool:
    """Return whether a dotted key is recorded with each attempt and is not part of a run's identity."""
    return any(marks.get("identity") is False for _, marks in marks_along(key))


def is_decided_at_launch(key: str) -> bool:
    """Return whether a launch fixes a dotted key, so that a later attempt cannot change it."""
    return any(marks.get("at_launch") for _, marks in marks_along(key))


@cache
def reader_of(key: str) -> str:
    """Return the key that is read in place of `key`: the last of those that take its value by default; else itself.

    A field's own mark counts before that of the section around it: `model.resources` gives `resources` its values, and
    `model.resources.micro_batch_tokens` gives `deepspeed.micro_batch_tokens` its value.
    """
    marked = [(place, marks["default_of"]) for place, marks in marks_along(key) if "default_of" in marks]
    if not marked:
        return key
    place, reader = marked[-1]
    return reader_of(f"{reader}{key.removeprefix(place)}")


def _alternatives(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _alternatives(part)]
    return [annotation]


@cache
def _scalars(path: tuple[str, ...]) -> frozenset[Any]:
    """Return the types of a value at `path`, or of its elements if it is a list."""
    found = set()
    for kind in fields_at(path):
        parts = get_args(kind) if get_origin(kind) in (tuple, list) else (kind,)
        found |= {scalar for part in parts if part is not ... for scalar in _alternatives(part)}
    return frozenset(kind for kind in found if isinstance(kind, type))


class _Visitor(HydraOverrideVisitor):
    """Hydra's visitor, except that a number or a truth value in a field of text stays the text that was typed."""

    def __init__(self) -> None:
        super().__init__(create_functions())
        self._path: tuple[str, ...] = ()
        self._counts = False  # inside range() and the like, whose arguments are numbers

    def visitKey(self, ctx: OverrideParser.KeyContext) -> Key:
        """Parse a key, and note its path."""
        key = super().visitKey(ctx)
        self._path = tuple(key.key_or_group.split("."))
        return key

    def visitDictKeyValuePair(self, ctx: OverrideParser.DictKeyValuePairContext) -> Any:
        """Parse a pair of a mapping, whose value lies at the path of its key."""
        outside = self._path
        self._path = (*outside, ctx.getChild(0).getText().strip())
        pair = super().visitDictKeyValuePair(ctx)
        self._path = outside
        return pair

    def visitFunction(self, ctx: OverrideParser.FunctionContext) -> Any:
        """Parse a function; the arguments of all but `choice` are numbers."""
        outside = self._counts
        self._counts = outside or ctx.getChild(0).getText() != "choice"
        value = super().visitFunction(ctx)
        self._counts = outside
        return value

    def visitPrimitive(self, ctx: OverrideParser.PrimitiveContext) -> Any:
        """Parse a value; return the text that was typed, if the field takes text."""
        value = super().visitPrimitive(ctx)
        allowed = _scalars(self._path)
        keeps = str in allowed and not (isinstance(value, bool) and bool in allowed)
        keeps = keeps or bool(allowed and all(issubclass(kind, BaseModel) for kind in allowed))  # the name of a choice
        if isinstance(value, bool | int | float) and keeps and not self._counts:
            return ctx.getText().strip()
        return value


def _read(line: str) -> Override:
    """Parse `line`; raise HydraException if the grammar does not take it."""
    lexer = OverrideLexer(InputStream(line))
    parser = OverrideParser(CommonTokenStream(lexer))
    for part in (lexer, parser):
        part.removeErrorListeners()
        part.addErrorListener(HydraErrorListener())
    found = _Visitor().visit(parser.override())
    found.input_line = line
    found.validate()
    return found


def _as_one_text(line: str) -> str | None:
    """Return the line with its value quoted, if the key takes one text and the value can mean nothing else."""
    match = _LINE.fullmatch(line)
    if match is None or _UNCLEAR.match(match["value"].strip()):
        return None
    if str not in fields_at(match["key"].lstrip("+").split(".")):
        return None
    return f"{match['key']}={quoted(match['value'].strip())}"


def _unreadable(line: str, error: HydraException) -> str:
    said = f"cannot read the override {without_secrets(line)!r}"
    match = _LINE.fullmatch(line)
    if line != without_secrets(line):
        form = f'cluster.env={{NAME:"{HIDDEN}"}}'
        return f"{said}: names stand without quotes and values in double ones: {shlex.quote(form)}"
    if match is None:
        dashes = re.fullmatch(r"-+([\w.]+=.*)", line)
        more = f"; leave the dashes out: {dashes[1]}" if dashes else " without spaces around the ="
        return f"{said}, which should be key=value{more}"
    key, value = match["key"], match["value"].strip()
    if re.search(r"\s[\w.]+=", value):
        return f"{said}: there seem to be several overrides in one word; give each its own pair of quotes, or none"
    if value.endswith(","):
        return f"{said}: it ends with a comma; a sweep is written without spaces, as in {key}={value}…"
    if (written := _in_other_words(value)) is not None:
        rule = "in lists and mappings keys stand without quotes, and texts with other characters in them"
        return f"{said}: {rule}: {shlex.quote(f'{key}={written}')}"
    if re.fullmatch(r"\w+\(.*\)", value):
        return f"{said}: {str(error.__cause__ or error).splitlines()[0]}; the functions that sweep are {SWEEPS}"
    if value.startswith(("[", "{")):
        forms = f"a list is written {key}=[a,b] and a mapping {key}={{a:b}}"
        return f"{said}: {forms}; if it is meant as text, quote the value: {for_the_shell(key, value)}"
    remedy = f"{said}: quote the value: {for_the_shell(key, value)}"
    if "," in value:
        each = ",".join(quoted(part.strip()) for part in value.split(","))
        remedy += f"; to sweep over its parts quote each of them: {shlex.quote(f'{key}={each}')}"
    return remedy


def _environment_in_other_words(line: str) -> str | None:
    """Return the line in Hydra's grammar, if it gives `cluster.env` a mapping in another notation.

    For other keys a message shows that form, to be pasted; this one's values are shown nowhere.
    """
    match = _LINE.fullmatch(line)
    if match is None or match["key"].lstrip("+") != "cluster.env":
        return None
    written = _in_other_words(match["value"].strip())
    return f"{match['key']}={written}" if written and written.startswith("{") else None


def _in_other_words(value: str) -> str | None:
    """Return in Hydra's grammar a list or mapping that is written as JSON, as Python, or without quotes."""
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value)
        except (ValueError, SyntaxError):
            continue
        return _written(found) if isinstance(found, dict | list) else None
    inside = re.fullmatch(r"([\[{])([^\[\]{}'\"]*)[\]}]", value)
    if inside is None:
        return None
    parts = [part.strip() for part in inside[2].split(",")]
    if inside[1] == "[":
        return _written(parts)
    pairs = [part.partition(":") for part in parts]
    return _written({name.strip(): text.strip() for name, _, text in pairs}) if all(p[1] for p in pairs) else None


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{_written(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w-]+", value, re.ASCII) else quoted(value)
    return json.dumps(value)
