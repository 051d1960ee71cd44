"""The files that say what the answers in a directory are: its manifest and its questions. Parts hold the answers.

_manifest.json   which evaluation this is, and the parts that belong to it; written last, so that what has no manifest
                 is unfinished, and a part that no manifest lists is not read
_problems.jsonl  a line for each question that was asked, in order: id, question, golds
part-00000.parquet …  the answers (sweep.run.answer_parts)
_lock            locked by the process that writes here; it names that process

pandas and pyarrow read no file whose name begins with an underscore, so that they can be given the directory.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xxhash
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from sweep.errors import DamagedFile, UserError
from sweep.run.files import file_hash, sync, write_text

SCHEMA = 1
MANIFEST, PROBLEMS, LOCK = "_manifest.json", "_problems.jsonl", "_lock"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Question(_Record):
    """A question of a benchmark, with the answers that count as correct."""

    id: str
    question: str
    golds: tuple[str, ...]


class Weights(_Record):
    """The weights that answered. `name`: `cell@step` or `model@commit`. `hash`: see sweep.run.weights. `step`: the
    training step after which they were written; None for a model that was not trained here.
    """

    name: str
    hash: str
    step: int | None = None


class Made(_Record):
    """What answers were sampled with. None of it identifies an evaluation, but each may change answers a little."""

    engine: str
    dtype: str
    hardware: str
    code: str


class Part(Made):
    """A file of answers: its name, its rows, its size in bytes, and the XXH3 hash (128 bits) of its content."""

    file: str
    rows: int
    bytes: int
    xxh3_128: str

    @property
    def made(self) -> Made:
        """What the answers in the part were sampled with."""
        return Made(**self.model_dump(include=set(Made.model_fields)))


class Evaluated(_Record):
    """An evaluation: the answers of some weights to a benchmark.

    identity: the dictionary that the directory's signature is a hash of. detectors: the definition of each detector of
    behaviours, by name; answers name the behaviours that these found.
    """

    benchmark: str
    weights: Weights
    identity: dict[str, Any]
    detectors: dict[str, Any]

    @field_validator("identity", "detectors")
    @classmethod
    def _as_in_json(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Return the value as it is read back, so that what is written and what is read are equal."""
        return json.loads(json.dumps(value))


class Manifest(Evaluated):
    """What a directory of answers holds.

    problems, samples_per_problem: the targets that were reached: each of the first `problems` questions has at least
        `samples_per_problem` answers. There may be more of both.
    questions: the hash of the first `questions_asked` questions; every answer is to one of these.
    """

    version: int = Field(SCHEMA, alias="schema")
    problems: int
    samples_per_problem: int
    questions: str
    questions_asked: int
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """The number of answers."""
        return sum(part.rows for part in self.parts)


def questions_hash(questions: Sequence[Question]) -> str:
    """Return the XXH3 hash (128 bits) of questions: their ids, texts and golds, in order."""
    content = json.dumps([[q.id, q.question, q.golds] for q in questions])
    return xxhash.xxh3_128(content.encode()).hexdigest()


def write_questions(directory: Path, questions: Sequence[Question]) -> None:
    """Write `_problems.jsonl`."""
    write_text(directory / PROBLEMS, "".join(json.dumps(question.model_dump()) + "\n" for question in questions))


def read_questions(directory: Path, count: int | None = None) -> list[Question]:
    """Return the first `count` questions (None: all) in `_problems.jsonl`; none if there is no such file.

    Raises:
        DamagedFile: a line is not a question.
    """
    found: list[Question] = []
    file = directory / PROBLEMS
    if not file.exists():
        return found
    with open(file, "rb") as lines:  # what is damaged may be no text
        for number, line in zip(range(1, 1 + (10**9 if count is None else count)), lines, strict=False):
            try:
                found.append(Question.model_validate(json.loads(line)))
            except (ValueError, ValidationError):
                raise DamagedFile(f"{file}, line {number}: no question; {_again(directory)}") from None
    return found


def asked_questions(directory: Path, manifest: Manifest) -> list[Question]:
    """Return the questions that the answers of a directory are to, in order.

    Raises:
        DamagedFile: they are not those that the manifest has the hash of.
    """
    found = read_questions(directory, manifest.questions_asked)
    if questions_hash(found) != manifest.questions:
        raise DamagedFile(f"{directory / PROBLEMS}: not the questions that were asked; {_again(directory)}")
    return found


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest; from then on readers see the parts that it lists."""
    write_text(directory / MANIFEST, manifest.model_dump_json(by_alias=True, indent=1) + "\n")
    sync(directory)


def has_manifest(directory: Path) -> bool:
    """Return whether a directory has a manifest, whole or damaged: whether an evaluation was finished there."""
    return (directory / MANIFEST).exists()


def find_manifest(directory: Path) -> Manifest | None:
    """Return the manifest of a directory; None if there is none, because no evaluation was finished there.

    Raises:
        DamagedFile: it is not what was written.
        UserError: a later version of the code wrote it.
    """
    file = directory / MANIFEST
    try:
        body = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DamagedFile(f"{file}: holds no JSON ({error}); {_again(directory)}") from None
    version = body.get("schema") if isinstance(body, dict) else None
    if isinstance(version, int) and version > SCHEMA:
        raise UserError(f"{file}: has schema {version}, of a later version of this project, which reads {SCHEMA}")
    try:
        return Manifest.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DamagedFile(f"{file}: {where}: {first['msg']}; {_again(directory)}") from None


def read_manifest(directory: Path) -> Manifest:
    """Return the manifest of a directory.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    found = find_manifest(directory)
    if found is None:
        raise UserError(f"{directory}: no finished evaluation ({MANIFEST} is missing); evaluate again to finish it")
    return found


def check_part(directory: Path, part: Part) -> Path:
    """Return the path of a part whose size and content are those of the manifest.

    Raises:
        DamagedFile: it is missing, cut short or changed.
    """
    file = directory / part.file
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        raise DamagedFile(f"{file}: missing, although {MANIFEST} lists it; {_again(directory)}") from None
    if size != part.bytes:
        raise DamagedFile(f"{file}: has {size} bytes instead of {part.bytes}; {_again(directory)}")
    if file_hash(file) != part.xxh3_128:
        raise DamagedFile(f"{file}: was changed since it was written (its hash is another); {_again(directory)}")
    return file


def _again(directory: Path) -> str:
    return f"put a copy back, or remove {directory} and evaluate again"
