"""Read the rows of files and of hub data sets, each with its place for messages."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from models.hub import fetch_repository
from sweep.config.data import HubSplit
from sweep.errors import UserError

ONE_OBJECT = 'expected one object a line, such as {"prompt": "1+1", "answer": "2"}'
LIST_HINT = "; name a file that is one list with the ending .json"


class Row(NamedTuple):
    """A row's fields by name, and its place in the source, such as "line 7"."""

    place: str
    fields: dict


@dataclass(frozen=True)
class Rows:
    """The rows of one source.

    `key` is the section of the configuration that names it, `name` the file or hub id. `columns` are those of a table;
    None if each row has its own fields. Rows without ids are numbered from `first`. `section` holds the keys that say
    what is done with rows that are at fault.
    """

    key: str
    name: str
    rows: Sequence[Row]
    columns: Sequence[str] | None = None
    first: int = 1
    section: str = "data"

    def fault(self, said: str, place: str = "") -> UserError:
        """Return an error about the source, or about a place in it; `said` is the fault, such as "has no column x"."""
        return UserError(f"{self.key}: {self.name}{f', {place}:' if place else ''} {said}")


def read_file(path: str, columns: Iterable[str], key: str = "data") -> Rows:
    """Return the rows of a file. Its ending decides the format: .csv, .parquet, .json (a list, or lines), else JSON
    lines.

    Args:
        columns: the columns that are needed; others of a Parquet file may be left out.
        key: the section of the configuration that names the file, for messages.
    Raises:
        UserError: the file cannot be read, or a line is not a row; the message names the line.
    """
    kind = Path(path).suffix.lower()
    source = Rows(key, path, [])
    try:
        data = Path(path).read_bytes() if kind != ".parquet" else b""
        if kind == ".parquet":
            return _parquet(source, columns)
    except OSError as error:
        raise UserError(f"{key}: cannot read {path}: {error.strerror or error}") from None
    text = _decode(source, data)
    if kind == ".csv":
        return _csv(source, text)
    if kind == ".json" and text.lstrip().startswith("["):
        return _json_list(source, text)
    return replace(source, rows=list(_json_lines(source, text)))


def _decode(source: Rows, data: bytes) -> str:
    if data[:4] == b"PAR1":
        raise source.fault("is a Parquet file; give it a name that ends in .parquet")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = data.count(b"\n", 0, error.start) + 1, f"0x{data[error.start]:02x}"
        raise source.fault(f"byte {byte} is no UTF-8; save the file as UTF-8", f"line {line}") from None


def _json_lines(source: Rows, text: str) -> Iterable[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            place = f"line {number}"
            yield Row(place, _object(source, place, _json(source, place, line)))


def _json(source: Rows, place: str, line: str) -> object:
    try:
        return json.loads(line, object_pairs_hook=_fields)
    except (ValueError, RecursionError) as error:
        hint = "" if line.lstrip()[0] in "{[" else "; name a file of comma-separated values with the ending .csv"
        if line.strip() == "[":  # the first line of a list that spans several lines
            hint = LIST_HINT
        raise source.fault(f"{ONE_OBJECT}, and this is no JSON ({error}){hint}", place) from None


def _fields(pairs: list[tuple[str, object]]) -> dict:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"two fields are named {next(name for name in names if names.count(name) > 1)}")
    return fields


def _object(source: Rows, place: str, value: object) -> dict:
    if isinstance(value, dict):
        return value
    hint = LIST_HINT if isinstance(value, list) else ""
    expected = ONE_OBJECT if place.startswith("line") else "expected an object"
    raise source.fault(f"{expected}, and this is {json_type(value)}{hint}", place)


def _json_list(source: Rows, text: str) -> Rows:
    try:
        values = json.loads(text, object_pairs_hook=_fields)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source.key}: cannot read {source.name} as a JSON list: {error}") from None
    places = [(f"row {i}", value) for i, value in enumerate(values, 1)]
    return replace(source, rows=[Row(place, _object(source, place, value)) for place, value in places])


def json_type(value: object) -> str:
    """Return the kind of a value for a message, such as "a list"."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    names = {str: "a text", dict: "an object", list: "a list", int | float: f"the number {value}"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), f"a {type(value).__name__}")


def _csv(source: Rows, text: str) -> Rows:
    """Read CSV with every cell as text: 007, NA and empty cells are not converted."""
    csv.field_size_limit(2**31 - 1)  # worked solutions may be long
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, header, began = [], None, 1
    try:
        for cells in reader:
            place, began = f"line {began}", reader.line_num + 1
            if not cells:
                continue
            if header is None:
                header = cells
            elif len(cells) != len(header):
                raise source.fault(f"has {len(cells)} cells under {len(header)} columns", place)
            else:
                rows.append(Row(place, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise source.fault(f"is no comma-separated row ({error})", f"line {began}") from None
    if header is not None and (repeated := [name for name in header if header.count(name) > 1]):
        raise source.fault(f"has two columns named {repeated[0]!r}")
    return replace(source, rows=rows, columns=header or ())


def _parquet(source: Rows, columns: Iterable[str]) -> Rows:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(source.name)
        names = file.schema_arrow.names
        found = file.read(columns=_top_level(names, columns)).to_pylist()
    except pyarrow.ArrowException as error:
        raise UserError(f"{source.key}: cannot read {source.name} as Parquet: {error}") from None
    return replace(source, rows=[Row(f"row {i}", fields) for i, fields in enumerate(found, 1)], columns=names)


def _top_level(names: Sequence[str], wanted: Iterable[str]) -> list[str]:
    """Return the columns of a table that hold the wanted columns or fields."""
    return [name for name in names if any(w == name or w.startswith(f"{name}.") for w in wanted)]


def stamp_of(path: str, key: str, field: str) -> tuple[int, ...]:
    """Return numbers that change with a file, so that what was read of it can be remembered.

    Raises:
        UserError: there is no such file; the message names the key `key`.`field`.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        said = f"{key}: cannot read {path}: {error.strerror}; set {key}.{field} to a file of problems"
        raise UserError(said) from None
    return status.st_ino, status.st_size, status.st_mtime_ns


def in_cache(place: HubSplit) -> bool:
    """Return True if a data set from the hub is in the cache, so that reading it needs no network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        snapshot_download(place.path, repo_type="dataset", revision=place.revision, local_files_only=True)
    except LocalEntryNotFoundError:
        return False
    return True


def read_hub(place: HubSplit, key: str, columns: Iterable[str]) -> Rows:
    """Return the rows of a hub split, of all its configurations in turn.

    The files are fetched into the cache as a snapshot, as a model's files are.

    Raises:
        UserError: the data set cannot be fetched, or has no such configuration or split.
    """
    import datasets

    try:
        snapshot = fetch_repository(place.path, place.revision, "dataset", key=key)
    except ValueError as error:
        raise UserError(str(error)) from None
    joined: list[dict] = []
    names: list[str] = []
    for subset in place.subset if isinstance(place.subset, tuple) else (place.subset,):
        try:
            table = datasets.load_dataset(str(snapshot), subset, split=place.split)
        except (datasets.exceptions.DatasetsError, ValueError, OSError) as error:
            of = f" of configuration {subset!r}" if subset else ""
            raise UserError(f"{key}: cannot read split {place.split!r}{of} of {place.path}: {error}") from None
        names = [n for n in table.column_names if n in names] if joined else table.column_names
        joined.extend(table.select_columns(_top_level(table.column_names, columns)))
    return Rows(key, place.path, [Row(f"row {i}", fields) for i, fields in enumerate(joined)], names, first=0)
