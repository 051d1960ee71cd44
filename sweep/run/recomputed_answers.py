"""Compute verdicts and behaviours of kept answers again, without sampling anything.

Verdicts under other grading rules are another evaluation, so they go to a directory of their own, with the texts.
Behaviours belong to no evaluation's identity, so they are replaced where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from pyarrow import compute

from sweep.run.answer_files import Find, Pair, locked_answers, open_answers, pairs_in, renew_behaviours
from sweep.run.answer_manifest import (
    Evaluated,
    Made,
    Manifest,
    Part,
    Question,
    asked_questions,
    check_part,
    read_manifest,
)
from sweep.run.answer_parts import as_answers, read_part
from sweep.run.answers import Answer, by_problem

CHUNK = 1024  # answers that are graded, and written as a part, at once; all answers to a problem stay together


FIELDS = ("answer", "correct", "outcome", "strategy", "vote")


class Verdict(Protocol):
    """What grading finds of an answer. The fields are those of `Answer`."""

    @property
    def answer(self) -> str | None: ...
    @property
    def correct(self) -> bool: ...
    @property
    def outcome(self) -> str: ...
    @property
    def strategy(self) -> str | None: ...
    @property
    def vote(self) -> str | None: ...


# Takes questions, each with the texts of all its answers in the order of samples, because answers to one question vote
# together. Returns a verdict for each text.
Grade = Callable[[Sequence[tuple[Question, Sequence[str]]]], Sequence[Sequence[Verdict]]]


def regraded(answers: Sequence[Answer], questions: Mapping[str, Question], grade: Grade) -> list[Answer]:
    """Return the same answers with the verdicts of `grade`, problem by problem.

    Args:
        answers: all answers to some problems. questions: by id.
    """
    grouped = by_problem(answers)
    verdicts = grade([(questions[problem], [one.text for one in those]) for problem, those in grouped.items()])
    return [
        replace(one, **{name: getattr(verdict, name) for name in FIELDS})
        for those, found in zip(grouped.values(), verdicts, strict=True)
        for one, verdict in zip(those, found, strict=True)
    ]


def replace_behaviours(directory: Path, detectors: dict[str, Any], find: Find) -> Manifest:
    """Find the behaviours of all answers of a finished evaluation again, and return its new manifest.

    Nothing is written if `detectors`, the definitions of the detectors that `find` applies, are those of before.

    Raises:
        UserError: there is no manifest, a part is damaged, or another process writes there.
    """
    read_manifest(directory)  # before the lock's file is made where no answers are
    with locked_answers(directory):
        manifest = read_manifest(directory)
        if manifest.detectors == detectors:
            return manifest
        for part in manifest.parts:
            check_part(directory, part)
        return renew_behaviours(directory, manifest, manifest.parts, detectors, find)


def regrade(source: Path, target: Path, identity: dict[str, Any], grade: Grade, find: Find) -> Manifest:
    """Grade the answers of the finished evaluation in `source` by other rules, into the directory `target`.

    Answers that `target` holds already are kept, so that a killed command goes on, and an evaluation that grew is
    graded where it grew.

    Args:
        identity: the identity of the evaluation under the other rules, whose signature names `target`.
        find: the detectors that the manifest of `source` defines; used only if `target` has behaviours of others.
    Raises:
        UserError: `source` has no manifest or is damaged; `target` holds something else or is being written.
    """
    manifest = read_manifest(source)
    asked = asked_questions(source, manifest)  # also those that only an earlier evaluation, of more problems, asked
    questions, further = asked[: manifest.problems], asked[manifest.problems :]
    evaluated = Evaluated(
        benchmark=manifest.benchmark, weights=manifest.weights, identity=identity, detectors=manifest.detectors
    )
    with open_answers(target, evaluated, questions, manifest.samples_per_problem, find, further) as writer:
        for rows in _chunks(source, manifest, asked, writer.pairs):
            made_of = {(answer.problem, answer.sample): made for answer, made in rows}
            answers = regraded([answer for answer, _ in rows], {question.id: question for question in asked}, grade)
            new = [answer for answer in answers if (answer.problem, answer.sample) not in writer.pairs]
            for made in dict.fromkeys(made_of.values()):
                writer.write([one for one in new if made_of[one.problem, one.sample] == made], made)
        return writer.finish()


def _chunks(
    source: Path, manifest: Manifest, questions: Sequence[Question], graded: Container[Pair]
) -> Iterator[list[tuple[Answer, Made]]]:
    """Yield all answers to some questions at a time, of which at least one answer is not `graded`, and what made them.

    Only the parts that hold these questions are read, so that the texts of one chunk are in memory at a time.
    """
    holding = {part: _pairs_by_problem(source, part) for part in manifest.parts}
    chunk: list[str] = []
    answers = 0
    for question in questions:
        pairs = [pair for by in holding.values() for pair in by.get(question.id, ())]
        if all(pair in graded for pair in pairs):
            continue
        if chunk and answers + len(pairs) > CHUNK:
            yield _rows_of(source, holding, chunk)
            chunk, answers = [], 0
        chunk.append(question.id)
        answers += len(pairs)
    if chunk:
        yield _rows_of(source, holding, chunk)


def _pairs_by_problem(source: Path, part: Part) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for problem, sample in pairs_in(check_part(source, part)):
        found.setdefault(problem, []).append((problem, sample))
    return found


def _rows_of(
    source: Path, holding: Mapping[Part, Container[str]], problems: Sequence[str]
) -> list[tuple[Answer, Made]]:
    rows = []
    for part, held in holding.items():
        if any(problem in held for problem in problems):
            table = read_part(source / part.file)
            wanted = compute.is_in(table.column("problem"), pa.array(problems, pa.string()))
            rows += [(answer, part.made) for answer in as_answers(table.filter(wanted))]
    return rows
