"""Read the answers of an evaluation, as far as its manifest lists them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import compute

from sweep.errors import DamagedFile
from sweep.run.answer_manifest import Made, Manifest, asked_questions, check_part, read_manifest
from sweep.run.answer_parts import COLUMNS, WITHOUT_TEXTS, as_answers, read_part
from sweep.run.answers import Answer

COMPARED = ("engine", "dtype", "hardware")


def read_answers(
    directory: Path, columns: Sequence[str] | None = None, problems: int | None = None, samples: int | None = None
) -> pa.Table:
    """Return the answers in a directory, a row each, in the order in which they were written.

    Args:
        columns: names of fields of `Answer`; None for all.
        problems: only answers to the first so many questions; None for all.
        samples: only the first so many answers to each question; None for all.
    Raises:
        UserError: there is no manifest; or a part that it lists is missing, cut short or changed.
    """
    wanted = list(COLUMNS.names if columns is None else columns)
    while True:
        manifest = read_manifest(directory)
        try:
            return _read(directory, manifest, wanted, problems, samples)
        except (DamagedFile, FileNotFoundError):
            if read_manifest(directory) == manifest:  # otherwise the parts were replaced while they were read
                raise


def _read(
    directory: Path, manifest: Manifest, wanted: list[str], problems: int | None, samples: int | None
) -> pa.Table:
    few = problems is not None and problems < manifest.questions_asked
    kept = [question.id for question in asked_questions(directory, manifest)[:problems]] if few else []
    read = [*wanted, *(name for name in ("problem", "sample") if name not in wanted)]
    tables = []
    for part in manifest.parts:
        table = read_part(check_part(directory, part), read)
        if few:
            table = table.filter(compute.is_in(table.column("problem"), pa.array(kept, pa.string())))
        if samples is not None:
            table = table.filter(compute.less(table.column("sample"), samples))
        tables.append(table.select(wanted))
    return pa.concat_tables(tables) if tables else COLUMNS.empty_table().select(wanted)


def answers_without_texts(directory: Path, problems: int | None = None, samples: int | None = None) -> list[Answer]:
    """Return the same answers with "" as their text: scores need no texts, which are most of the memory.

    Raises:
        UserError: as `read_answers` does.
    """
    return as_answers(read_answers(directory, WITHOUT_TEXTS, problems, samples))


def holds(directory: Path, manifest: Manifest, problems: int, samples: int) -> bool:
    """Return whether the first `problems` questions have the first `samples` answers each.

    The manifest says so of the numbers that were asked for last. A directory may hold more: after 500 × 2 answers,
    50 × 16 may have been asked for. Only then are the answers counted.

    Raises:
        UserError: as `read_answers` does.
    """
    if problems <= manifest.problems and samples <= manifest.samples_per_problem:
        return True
    if problems > manifest.questions_asked or problems * samples > manifest.rows:
        return False
    return read_answers(directory, ["sample"], problems, samples).num_rows == problems * samples


def made_within(manifest: Manifest) -> list[str]:
    """Return in words how the parts of one directory were made differently; nothing if they were not."""
    return _differences([("", manifest)])


def made_between(one: Manifest, other: Manifest) -> list[str]:
    """Return in words how the answers of two directories were made differently; nothing if they were not."""
    return _differences([(f" ({one.weights.name})", one), (f" ({other.weights.name})", other)])


def _differences(manifests: Sequence[tuple[str, Manifest]]) -> list[str]:
    found = []
    for field in COMPARED:
        values: dict[str, list[tuple[str, Made]]] = {}
        for said, manifest in manifests:
            for part in manifest.parts:
                values.setdefault(f"{getattr(part, field)}{said}", []).append((said, part))
        if len({getattr(part, field) for parts in values.values() for _, part in parts}) > 1:
            found.append(f"answers were sampled with different {field}: {', '.join(sorted(values))}")
    return found
