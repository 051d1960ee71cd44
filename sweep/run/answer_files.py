"""Write the directory of an evaluation: chunk by chunk, by one process at a time, going on where an earlier one ended.

Answers are of one evaluation and of one set of weights. A directory that holds answers of other weights, because a
training was run again, is emptied first: these answers are of no weights that exist.
"""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from sweep.errors import DamagedFile, UserError
from sweep.run.answer_manifest import (
    LOCK,
    MANIFEST,
    PROBLEMS,
    Evaluated,
    Made,
    Manifest,
    Part,
    Question,
    check_part,
    find_manifest,
    questions_hash,
    read_questions,
    write_manifest,
    write_questions,
)
from sweep.run.answer_parts import (
    as_table,
    belonging,
    found_part,
    part_number,
    parts_on_disk,
    read_part,
    with_behaviours,
    write_part,
)
from sweep.run.answers import Answer
from sweep.run.files import PARTIAL, sync, try_lock

log = logging.getLogger("sweep")

Find = Callable[[str], Iterable[str]]  # returns the names of the behaviours in a text
Pair = tuple[str, int]  # the id of a problem, and the number of an answer to it


class HeldByAnother(UserError):
    """Another process writes to the directory. A second one is told at once, because it may hold a GPU that would
    stand idle while it waits.
    """


class AnswerWriter:
    """Writes the answers to `questions`, `samples_per_problem` to each, while it holds the directory's lock.

    pairs: the (problem, sample) pairs that whole parts hold.
    missing: the (problem, sample) pairs that no whole part holds, in the order of questions and samples. These are to
    be sampled, and given to `write` in chunks; then `finish` makes them visible to readers.
    """

    def __init__(
        self,
        directory: Path,
        evaluated: Evaluated,
        questions: Sequence[Question],
        samples_per_problem: int,
        find: Find,
        further: Sequence[Question] = (),
    ) -> None:
        """Take stock of a directory whose lock is held: use `open_answers`."""
        self.directory, self.evaluated = directory, evaluated
        self._questions, self._samples = list(questions), samples_per_problem
        for partial in directory.glob(f".*{PARTIAL}"):
            partial.unlink()
        self._manifest, self._parts = _listed(directory, evaluated, find)
        self.pairs = {pair for part in self._parts for pair in pairs_in(directory / part.file)}
        self._take_over(find)
        self._asked = _joined_questions(directory, [*self._questions, *further], bool(self.pairs))

    def _take_over(self, find: Find) -> None:
        """Count the parts that no manifest lists and that are of this evaluation, and remove the others."""
        for name in sorted({*parts_on_disk(self.directory)} - {part.file for part in self._parts}):
            if part := _found(self.directory, name, self.evaluated, self.pairs, find):
                self._parts.append(part)
                self.pairs |= pairs_in(self.directory / part.file)

    @property
    def missing(self) -> list[Pair]:
        """The pairs of question and sample that have no answer yet."""
        pairs = ((q.id, sample) for q in self._questions for sample in range(self._samples))
        return [pair for pair in pairs if pair not in self.pairs]

    def held(self, columns: Sequence[str]) -> pa.Table:
        """Return these columns of all answers that the directory holds, for example to count votes over old and new."""
        tables = [read_part(self.directory / part.file, columns) for part in self._parts]
        return pa.concat_tables(tables) if tables else as_table([]).select(list(columns))

    def write(self, answers: Sequence[Answer], made: Made) -> None:
        """Write a chunk of answers as a part; afterwards a killed evaluation goes on behind it.

        Raises:
            ValueError: an answer is there already, or its question was not asked.
        """
        if not answers:
            return
        pairs = {(answer.problem, answer.sample) for answer in answers}
        known = {question.id for question in self._asked}
        if len(pairs) < len(answers) or pairs & self.pairs or not {problem for problem, _ in pairs} <= known:
            raise ValueError(f"{self.directory}: a chunk holds answers that are there already, or that none asked for")
        # The manifest may still list a part that was damaged and is gone; a new part of its name would be taken for it.
        listed = self._manifest.parts if self._manifest else ()
        number = _next_number(self.directory, [*self._parts, *listed])
        part = write_part(self.directory, number, as_table(answers), belonging(self.evaluated), made)
        self._parts.append(part)
        self.pairs |= pairs

    def finish(self) -> Manifest:
        """Write the manifest and return it.

        Raises:
            ValueError: answers are missing.
        """
        if missing := self.missing:
            raise ValueError(f"{self.directory}: {len(missing)} answers are missing, the first of {missing[0]}")
        problems, samples = len(self._questions), self._samples
        if (known := self._manifest) and known.problems >= problems and known.samples_per_problem >= samples:
            problems, samples = known.problems, known.samples_per_problem
        manifest = Manifest(
            **{name: getattr(self.evaluated, name) for name in Evaluated.model_fields},
            problems=problems,
            samples_per_problem=samples,
            questions=questions_hash(self._asked),
            questions_asked=len(self._asked),
            parts=tuple(self._parts),
        )
        if manifest != self._manifest:
            write_manifest(self.directory, manifest)
            self._manifest = manifest
        return manifest


@contextmanager
def open_answers(
    directory: Path,
    evaluated: Evaluated,
    questions: Sequence[Question],
    samples_per_problem: int,
    find: Find,
    further: Sequence[Question] = (),
) -> Iterator[AnswerWriter]:
    """Yield a writer of the directory, which is created if necessary. No other process can write there meanwhile.

    Answers that are there and are of this evaluation and these weights are kept. Those of other weights are removed;
    and where the definitions of detectors changed, `find` finds the behaviours of the kept answers again.

    Args:
        find: the detectors that `evaluated.detectors` defines.
        further: the questions behind `questions` that may get answers, too, but need not have any.
    Raises:
        HeldByAnother: another process writes there.
        UserError: the directory holds another evaluation, or answers to other questions.
    """
    if len({question.id for question in questions}) < len(questions):
        raise ValueError("two questions have one id")
    directory.mkdir(parents=True, exist_ok=True)
    with locked_answers(directory):
        yield AnswerWriter(directory, evaluated, questions, samples_per_problem, find, further)


@contextmanager
def locked_answers(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory of answers.

    Raises:
        HeldByAnother: another process holds it; the message names that process.
    """
    place = directory / LOCK
    file = try_lock(place)
    if file is None:
        raise HeldByAnother(f"{directory}: {place.read_text() or 'another process'} writes there; try again later")
    with file:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()} (since {time.strftime('%Y-%m-%d %H:%M:%S')})")
        file.flush()
        yield


def _manifest_of(directory: Path, evaluated: Evaluated) -> Manifest | None:
    """Return the manifest of these weights; one of other weights is removed, and its parts can then not be read."""
    manifest = find_manifest(directory)
    if manifest is None:
        return None
    if manifest.identity != evaluated.identity or manifest.benchmark != evaluated.benchmark:
        raise UserError(f"{directory}: holds the answers of another evaluation, of {manifest.benchmark}; move it away")
    if manifest.weights.hash == evaluated.weights.hash:
        return manifest
    log.warning("%s: answers of other weights (%s) are replaced", directory, manifest.weights.name)
    (directory / MANIFEST).unlink()
    (directory / PROBLEMS).unlink(missing_ok=True)
    sync(directory)
    return None


def _listed(directory: Path, evaluated: Evaluated, find: Find) -> tuple[Manifest | None, list[Part]]:
    """Return the manifest, if it is of these weights, and the whole parts that it lists, with today's behaviours.

    Parts that are damaged are removed: nothing can be done with them, and their answers can be sampled again.
    """
    manifest = _manifest_of(directory, evaluated)
    if manifest is None:
        return None, []
    whole = []
    for part in manifest.parts:
        try:
            check_part(directory, part)
            whole.append(part)
        except DamagedFile as error:
            log.warning("%s; its answers are sampled again", str(error).partition(";")[0])
            (directory / part.file).unlink(missing_ok=True)
    if manifest.detectors == evaluated.detectors:
        return manifest, whole
    renewed = renew_behaviours(directory, manifest, whole, evaluated.detectors, find)
    return renewed, list(renewed.parts[: len(whole)])


def _found(directory: Path, name: str, evaluated: Evaluated, held: set[Pair], find: Find) -> Part | None:
    """Return the record of a part that no manifest lists, with today's behaviours.

    It is removed if it is not whole or not of this evaluation, or if its answers are held already: then a process died
    while it wrote parts anew.
    """
    file, belongs = directory / name, belonging(evaluated)
    part, said = found_part(file) or (None, {})
    same = said | {"detectors": None} == belongs | {"detectors": None}
    if part is None or not same or not held.isdisjoint(pairs_in(file)):
        log.warning("%s: not a whole part of this evaluation, or one that was replaced; removed", file)
        file.unlink()
        return None
    if said == belongs:
        return part
    renewed = _renewed_part(directory, part, [], belongs, find)
    file.unlink()
    return renewed


def renew_behaviours(
    directory: Path, manifest: Manifest, parts: Sequence[Part], detectors: dict[str, Any], find: Find
) -> Manifest:
    """Find the behaviours of the answers in `parts` again; the directory's lock is held. Returns the new manifest.

    The new parts are written beside the old ones, then the manifest, which lists the new ones; then the old ones are
    removed. A reader that uses the manifest sees all behaviours of before or all of now. Parts of the manifest that are
    not among `parts`, because they are damaged, are listed after them as they were.
    """
    renewed = manifest.model_copy(update={"detectors": detectors})
    belongs = belonging(renewed)
    written = [_renewed_part(directory, part, manifest.parts, belongs, find) for part in parts]
    others = [part for part in manifest.parts if part not in parts]
    renewed = renewed.model_copy(update={"parts": (*written, *others)})
    write_manifest(directory, renewed)
    for part in parts:
        (directory / part.file).unlink()
    return renewed


def _renewed_part(directory: Path, part: Part, listed: Iterable[Part], belongs: dict[str, Any], find: Find) -> Part:
    table = with_behaviours(read_part(directory / part.file), find)
    return write_part(directory, _next_number(directory, listed), table, belongs, part.made)


def _joined_questions(directory: Path, questions: list[Question], must_agree: bool) -> list[Question]:
    """Return the questions that the answers of the directory are to, or will be, and write them."""
    earlier = read_questions(directory) if must_agree else []
    shorter, longer = sorted((earlier, questions), key=len)
    if longer[: len(shorter)] != shorter:
        first = next(n for n, (one, other) in enumerate(zip(earlier, questions, strict=False), 1) if one != other)
        raise UserError(
            f"{directory / PROBLEMS}, line {first}: another question than the benchmark's, so that answers to both "
            "would be mixed; move the directory away to evaluate again"
        )
    if longer != earlier:
        write_questions(directory, longer)
        sync(directory)
    return longer


def pairs_in(file: Path) -> set[Pair]:
    """Return the pairs that a part holds."""
    table = read_part(file, ["problem", "sample"])
    return set(zip(table.column("problem").to_pylist(), table.column("sample").to_pylist(), strict=True))


def _next_number(directory: Path, parts: Iterable[Part] = ()) -> int:
    names = [*parts_on_disk(directory), *(part.file for part in parts)]
    return 1 + max(map(part_number, names), default=-1)
