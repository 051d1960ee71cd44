"""The rows of answers in Parquet files: their columns, and one file of them, a part, which says itself what it is.

A part carries what it belongs to in its own metadata, so that an evaluation that was killed before its manifest was
written can go on from the parts that it had finished.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash
from pyarrow import parquet

from sweep.run.answer_manifest import Evaluated, Made, Part
from sweep.run.answers import Answer
from sweep.run.files import sync, write_bytes
from sweep.run.identity import signature

COLUMNS = pa.schema(
    [
        pa.field("problem", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("answer", pa.string()),
        pa.field("correct", pa.bool_(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("strategy", pa.string()),
        pa.field("vote", pa.string()),
        pa.field("behaviours", pa.list_(pa.string()), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("finish", pa.string(), nullable=False),
    ]
)
KEY = b"rlvr_sweep"  # under which a part's metadata says what it is
REPEATED = ("problem", "outcome", "strategy", "vote", "finish")  # columns with few different texts
WITHOUT_TEXTS = tuple(name for name in COLUMNS.names if name != "text")
_FIELDS = tuple(field.name for field in fields(Answer))


def as_table(answers: Iterable[Answer]) -> pa.Table:
    """Return a table with a row for each answer, in order."""
    answers = list(answers)
    return pa.table({name: [getattr(a, name) for a in answers] for name in _FIELDS}, schema=COLUMNS)


def as_answers(table: pa.Table) -> list[Answer]:
    """Return the answer in each row of a table; `text` is "" if the table has no texts.

    Equal texts in the columns of `REPEATED` are one object, so that many answers take little memory.
    """
    columns = {name: _values(table, name) for name in table.column_names}
    if "text" not in columns:
        columns["text"] = [""] * table.num_rows
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    columns["behaviours"] = [shared.setdefault(found, found) for found in map(tuple, columns["behaviours"])]
    return [Answer(*row) for row in zip(*(columns[name] for name in _FIELDS), strict=True)]


def _values(table: pa.Table, name: str) -> list:
    if name not in REPEATED:
        return table.column(name).to_pylist()
    encoded = table.column(name).combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    texts = [*encoded.dictionary.to_pylist(), None]
    return [texts[-1 if place is None else place] for place in encoded.indices.to_pylist()]


def write_part(directory: Path, number: int, table: pa.Table, belongs: dict[str, Any], made: Made) -> Part:
    """Write a part so that it is whole or absent, also after a power failure, and return its record.

    Args:
        belongs: what the answers belong to, from `belonging`.
    """
    said = {**belongs, "made": made.model_dump(), "rows": _rows_hash(table)}
    stream = pa.BufferOutputStream()
    table = table.replace_schema_metadata({KEY: json.dumps(said).encode()})
    parquet.write_table(table, stream, compression="zstd")
    content = stream.getvalue()
    file = directory / part_name(number)
    write_bytes(file, memoryview(content))
    sync(directory)
    return _record(file, table.num_rows, content, made)


def part_name(number: int) -> str:
    """Return the name of a part."""
    return f"part-{number:05d}.parquet"


def part_number(name: str) -> int:
    """Return the number in the name of a part."""
    return int(name.removeprefix("part-").removesuffix(".parquet"))


def parts_on_disk(directory: Path) -> list[str]:
    """Return the names of the parts in a directory, listed by a manifest or not, in order."""
    return sorted(path.name for path in directory.glob("part-*.parquet"))


def belonging(evaluated: Evaluated) -> dict[str, Any]:
    """Return what a part's metadata says that its answers belong to: weights, evaluation and detectors."""
    return {
        "weights": evaluated.weights.hash,
        "evaluation": signature(evaluated.identity),
        "detectors": json.loads(json.dumps(evaluated.detectors)),
    }


def found_part(file: Path) -> tuple[Part, dict[str, Any]] | None:
    """Return the record of a part that no manifest lists, and what it belongs to.

    None if the file is not a whole part: its rows are compared with a hash of them, as no manifest has one of the file.
    """
    try:
        opened = parquet.ParquetFile(file)
        said = json.loads((opened.schema_arrow.metadata or {})[KEY])
        table = opened.read()
        made, rows = Made.model_validate(said.pop("made")), said.pop("rows")
    except (pa.ArrowException, OSError, KeyError, ValueError):  # no Parquet, cut, or written by something else
        return None
    if table.schema.names != COLUMNS.names or _rows_hash(table) != rows:
        return None
    return _record(file, table.num_rows, file.read_bytes(), made), said


def _rows_hash(table: pa.Table) -> str:
    return xxhash.xxh3_128(json.dumps(table.to_pylist()).encode()).hexdigest()


def _record(file: Path, rows: int, content: Any, made: Made) -> Part:
    size = len(memoryview(content))
    return Part(file=file.name, rows=rows, bytes=size, xxh3_128=xxhash.xxh3_128(content).hexdigest(), **dict(made))


def read_part(file: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of a part, without its metadata; `columns`: only these, in this order."""
    return parquet.ParquetFile(file).read(columns=columns).replace_schema_metadata(None)


def with_behaviours(table: pa.Table, find: Callable[[str], Iterable[str]]) -> pa.Table:
    """Return the same rows with the behaviours that `find` finds in their texts, sorted."""
    found = pa.array(
        [sorted(find(text)) for text in table.column("text").to_pylist()], COLUMNS.field("behaviours").type
    )
    return table.set_column(COLUMNS.get_field_index("behaviours"), COLUMNS.field("behaviours"), found)
