"""Every response of a training, a row each, in `RUN/responses/part-FIRST-LAST.parquet`: a part a checkpoint interval.

A part is written before the checkpoint of its last step counts as whole, so that a training that resumes from that
checkpoint has all rows before it; the rows of later steps are removed, because these steps run again. An interval that
was interrupted is one part in the end, as it would be without the interruption.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import compute, parquet

from sweep.errors import DamagedFile
from sweep.run.files import PARTIAL, sync, write_bytes

COLUMNS = pa.schema(
    [
        pa.field("step", pa.int32(), nullable=False),
        pa.field("slot", pa.int32(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("problem", pa.string(), nullable=False),
        pa.field("reward", pa.float64(), nullable=False),
        pa.field("correct", pa.bool_(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("strategy", pa.string()),
        pa.field("behaviours", pa.list_(pa.string()), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("finish", pa.string(), nullable=False),
        pa.field("advantage", pa.float64()),
        pa.field("counted", pa.bool_(), nullable=False),
        pa.field("text", pa.string()),
    ]
)
_NAME = re.compile(r"part-(\d+)-(\d+)\.parquet")


@dataclass(frozen=True)
class Interval:
    """The part that holds the steps from `first` to `last`."""

    first: int
    last: int

    @property
    def file(self) -> str:
        """The name of the part."""
        return f"part-{self.first:06d}-{self.last:06d}.parquet"

    def holds(self, other: Interval) -> bool:
        """Return whether all steps of `other` are among the steps of this one."""
        return self.first <= other.first and other.last <= self.last


def intervals(directory: Path) -> list[Interval]:
    """Return the parts in a directory, in the order of steps.

    A part whose steps another one holds is left out: a process died after it wrote the longer one and before it
    removed the shorter.
    """
    names = (_NAME.fullmatch(path.name) for path in sorted(directory.glob("part-*.parquet")))
    found = [Interval(int(name.group(1)), int(name.group(2))) for name in names if name]
    kept = [one for one in found if not any(other != one and other.holds(one) for other in found)]
    return sorted(kept, key=lambda one: one.first)


def read_responses(directory: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return every response in the directory, a row each, in the order of steps; `columns`: only these.

    Raises:
        DamagedFile: a part cannot be read.
    """
    wanted = list(COLUMNS.names if columns is None else columns)
    tables = [_read(directory / one.file, wanted) for one in intervals(directory)]
    return pa.concat_tables(tables) if tables else COLUMNS.empty_table().select(wanted)


def _read(file: Path, columns: Sequence[str]) -> pa.Table:
    try:
        return parquet.ParquetFile(file).read(columns=list(columns)).replace_schema_metadata(None)
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(f"{file}: cannot be read ({error}); put a copy back, or remove it to do without it") from None


class ResponseParts:
    """Collects the responses of steps, and writes them as a part when asked to."""

    def __init__(self, directory: Path, resume_after: int, every: int) -> None:
        """Prepare to write responses of the steps after `resume_after`; rows of such steps are removed.

        Args:
            every: steps between two checkpoints, which end parts.
        Raises:
            DamagedFile: a part that holds earlier steps than `resume_after`, and later ones too, cannot be read.
        """
        self._directory, self._every = directory, every
        self._waiting: list[pa.Table] = []
        directory.mkdir(exist_ok=True)
        for partial in directory.glob(f".*{PARTIAL}"):
            partial.unlink()
        kept = intervals(directory)
        self._remove_except(kept)
        for one in kept:
            if one.first > resume_after:
                (directory / one.file).unlink()
            elif one.last > resume_after:
                self._cut(one, resume_after)
        self._unfinished = self._last_unless_whole()

    def _cut(self, one: Interval, last: int) -> None:
        table = _read(self._directory / one.file, COLUMNS.names)
        self._write(Interval(one.first, last), table.filter(compute.less_equal(table.column("step"), last)))
        (self._directory / one.file).unlink()

    def _last_unless_whole(self) -> Interval | None:
        """Return the last part if it ends between two checkpoints of the interval, so that it is to be continued."""
        last = max(intervals(self._directory), key=lambda one: one.last, default=None)
        return last if last and last.last % self._every else None

    def add(self, rows: pa.Table) -> None:
        """Add the responses of a step, with the columns `COLUMNS`."""
        self._waiting.append(rows)

    def flush(self) -> None:
        """Write the responses that were added since the last part, and flush them to the disk."""
        if not self._waiting:
            return
        tables = self._waiting
        if (begun := self._unfinished) is not None:
            tables = [_read(self._directory / begun.file, COLUMNS.names), *tables]
        table = pa.concat_tables(tables)
        steps = compute.min_max(table.column("step")).as_py()
        written = Interval(steps["min"], steps["max"])
        self._write(written, table)
        self._waiting = []
        if begun is not None and begun != written:
            (self._directory / begun.file).unlink()
        self._unfinished = written if written.last % self._every else None

    def _write(self, interval: Interval, table: pa.Table) -> None:
        stream = pa.BufferOutputStream()
        # Arrow's own copy of the schema names the items of lists in another way once they were read from a file.
        parquet.write_table(table.combine_chunks(), stream, compression="zstd", store_schema=False)
        write_bytes(self._directory / interval.file, memoryview(stream.getvalue()))
        sync(self._directory)

    def _remove_except(self, kept: Sequence[Interval]) -> None:
        names = {one.file for one in kept}
        for path in self._directory.glob("part-*.parquet"):
            if path.name not in names:
                path.unlink()
