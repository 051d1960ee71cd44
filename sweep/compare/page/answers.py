"""Choose the answers that the page shows, of evaluations and of training, and write them as columns.

Of each evaluation the page has the first answer to the same few problems of a benchmark, so that every cell and every
step shows the same ones. They are drawn by a hash of their ids, which no result can influence. Beside them are answers
to the problems of a row that changed the most, which are marked as chosen by their results.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import compute
from pyarrow.parquet import ParquetFile

from sweep.compare.page.evaluated import cell_label, untrained_weights
from sweep.compare.page.texts import LONGEST, shortened
from sweep.compare.results import CellResult, Comparison
from sweep.errors import UserError
from sweep.run.answer_manifest import Question, asked_questions
from sweep.run.answer_places import KeptEvaluation, finished, finished_of_training
from sweep.run.answer_reading import read_answers
from sweep.run.directory import RunDirectory
from sweep.run.series import read_rows

T = TypeVar("T")
KEPT = 10  # answers of a cell and evaluation
OF_TRAINING = "training"  # stands in the place of a benchmark for responses of the training itself
TRAINING_STEPS, OF_A_STEP = 4, 4  # of which the page has responses, and how many of each
MOST_CHARACTERS = 12_000_000  # of all texts; with more, evaluations before the last ones are left out
CHANGED_SHARE = 1.7  # of that, together with the answers to problems that changed the most
BLOCK = 250  # texts that are compressed together, so that a browser unpacks the ones it shows
MEASURED = 50  # evaluations whose files are asked for the length of their texts
COLUMNS = ("subject", "step", "benchmark", "problem", "sample", "text", "answer", "correct", "outcome", "strategy")
MORE = ("behaviours", "tokens", "finish", "reward", "cut")


@dataclass
class Chosen:
    """The answers of the page.

    names: see `chosen_answers`. subjects: who answered: [label, model, place of the cell or None for an untrained
    model]. benchmarks: names. problems: [benchmark, id, question, golds, drawn]; not drawn are those that are here
    because they changed. columns: of each answer its values. left_out: in words, what there is beside. damaged: which
    files could not be read.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    subjects: list[list] = field(default_factory=list)
    benchmarks: list[str] = field(default_factory=list)
    problems: list[list] = field(default_factory=list)
    columns: dict[str, list] = field(default_factory=lambda: {name: [] for name in (*COLUMNS, *MORE)})
    left_out: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def json(self) -> tuple[dict[str, Any], list[list[str]]]:
        """Return it as the page reads it: everything but the texts, and the different texts in blocks of `BLOCK`, to
        which the column `text` refers by place.
        """
        texts: dict[str, int] = {}
        columns = dict(self.columns)
        columns["text"] = [texts.setdefault(text, len(texts)) for text in columns["text"]]
        behaviours: dict[tuple[str, ...], int] = {}
        columns["behaviours"] = [behaviours.setdefault(found, len(behaviours)) for found in columns["behaviours"]]
        told = {
            "subjects": self.subjects,
            "benchmarks": self.benchmarks,
            "problems": self.problems,
            "block": BLOCK,
            "behaviours": [list(found) for found in behaviours],
            "columns": columns,
            "left_out": self.left_out,
        }
        different = list(texts)
        return told, [different[at : at + BLOCK] for at in range(0, len(different), BLOCK)]


@dataclass(frozen=True)
class _Source:
    """An evaluation with the place of its subject."""

    subject: int
    evaluated: KeptEvaluation


def chosen_answers(
    comparison: Comparison,
    names: Mapping[str, str] | None = None,
    changed: Mapping[Path, set[str]] | None = None,
    most: int = MOST_CHARACTERS,
) -> Chosen:
    """Return the answers that the page shows. What cannot be read is left out and named in `damaged`.

    Args:
        names: of benchmarks that go by another name here, by the signature of their evaluation.
        changed: by directory of an evaluation, further problems whose answers are wanted, as far as there is room.
        most: the number of characters that all texts may have together.
    """
    chosen = Chosen(names=names or {})
    every = list(_sources(comparison, chosen))
    of_one = _characters(every)
    sources = _fitting(every, of_one, most, chosen)
    changed = _changed_that_fit(sources, changed or {}, of_one, most, chosen)
    kept: dict[tuple[str, str], _Problems] = {}
    for source in sources:
        key = _name(source.evaluated, chosen), source.evaluated.manifest.questions
        try:
            if key not in kept:
                kept[key] = _Problems(source.evaluated, chosen)
            _add_evaluation(source, kept[key].places(changed.get(source.evaluated.directory, set())), chosen)
        except UserError as error:
            chosen.damaged.append(f"answers of {chosen.subjects[source.subject][0]}: {error}")
    for place, cell in enumerate(comparison.cells):
        try:
            _add_training(place, cell, chosen)
        except UserError as error:
            chosen.damaged.append(f"responses of {cell_label(cell)}: {error}")
    return chosen


def _sources(comparison: Comparison, chosen: Chosen) -> Iterator[_Source]:
    """Yield the finished evaluations of all cells and of the models they began from, each once."""
    root, models = comparison.root, set()
    for place, cell in enumerate(comparison.cells):
        chosen.subjects.append([cell_label(cell), cell.model, place])
        for evaluated in _of_cell(comparison, cell, chosen):
            yield _Source(place, evaluated)
    for cell in comparison.cells:
        weights = untrained_weights(root, cell)
        if weights is not None and weights not in models:
            models.add(weights)
            chosen.subjects.append([f"untrained {cell.model}", cell.model, None])
            for evaluated in finished(weights, chosen.damaged):
                yield _Source(len(chosen.subjects) - 1, evaluated)


def _of_cell(comparison: Comparison, cell: CellResult, chosen: Chosen) -> list[KeptEvaluation]:
    if not cell.training:
        return []
    return finished_of_training(comparison.root, Path(cell.training).name, chosen.damaged)


def _fitting(sources: list[_Source], of_one: float, most: int, chosen: Chosen) -> list[_Source]:
    """Return the evaluations whose texts fit into `most` characters; the last of each cell are always among them."""
    last: dict[tuple[int, str], _Source] = {}
    for source in sources:
        last[source.subject, source.evaluated.sign] = source  # those of a cell are in the order of steps
    ends = {id(source) for source in last.values()}
    between = [source for source in sources if id(source) not in ends]
    room = most - len(ends) * of_one
    wanted = len(between) * of_one
    share = min(1.0, max(0.0, room / wanted)) if wanted else 1.0
    # Of n in a row the share s is kept evenly where floor(s · n) moves on.
    kept = {id(source) for n, source in enumerate(between) if int(share * (n + 1)) > int(share * n)} | ends
    if len(kept) < len(sources):
        chosen.left_out.append(
            f"Answers of {len(kept):,} of {len(sources):,} evaluations are shown, those of the last step of each cell "
            "always; the others would make this file too large."
        )
    return [source for source in sources if id(source) in kept]


def _characters(sources: Sequence[_Source]) -> float:
    """Return about how many characters the texts of an evaluation have that the page would show.

    The files of some evaluations say it, since reading all texts would take minutes. Damaged ones say nothing here.
    """
    sizes, rows = 0, 0
    for source in spread(sources, MEASURED):
        for part in source.evaluated.manifest.parts:
            try:
                known = ParquetFile(source.evaluated.directory / part.file).metadata
            except (OSError, pa.ArrowException):  # whoever reads its answers says what is wrong with it
                continue
            texts = known.schema.names.index("text")
            groups = [known.row_group(i).column(texts).total_uncompressed_size for i in range(known.num_row_groups)]
            sizes, rows = sizes + sum(groups), rows + known.num_rows
    return KEPT * min(sizes / rows, LONGEST) if rows else 0.0


def _changed_that_fit(
    sources: Sequence[_Source], changed: Mapping[Path, set[str]], of_one: float, most: int, chosen: Chosen
) -> Mapping[Path, set[str]]:
    """Return the further problems of each evaluation, or none at all if their texts do not fit."""
    room = most * CHANGED_SHARE - len(sources) * of_one
    wanted = sum(map(len, changed.values())) * of_one / KEPT
    if not wanted or wanted <= room:
        return changed
    chosen.left_out.append(
        "Answers to the problems that changed the most are left out; they would make this file too large."
    )
    return {}


class _Problems:
    """The problems of a benchmark: those that are drawn by a hash of their ids, and others when they are asked for."""

    def __init__(self, evaluated: KeptEvaluation, chosen: Chosen) -> None:
        """Choose the drawn ones.

        Raises:
            UserError: the file with the questions is damaged.
        """
        questions = asked_questions(evaluated.directory, evaluated.manifest)
        self._chosen, self._benchmark = chosen, _benchmark(_name(evaluated, chosen), chosen)
        self._questions = {question.id: question for question in questions}
        drawn = sorted(questions, key=lambda q: hashlib.sha256(q.id.encode()).digest())[:KEPT]
        self._drawn = {q.id: self._place(q, is_drawn=True) for q in sorted(drawn, key=questions.index)}
        self._others: dict[str, int] = {}

    def places(self, more: set[str]) -> dict[str, int]:
        """Return the places of the drawn problems and of `more` by their ids."""
        for name in sorted(more & self._questions.keys() - self._drawn.keys() - self._others.keys()):
            self._others[name] = self._place(self._questions[name], is_drawn=False)
        return self._drawn | {name: place for name, place in self._others.items() if name in more}

    def _place(self, question: Question, is_drawn: bool) -> int:
        golds = [shortened(gold).text for gold in question.golds]
        asked = [self._benchmark, question.id, shortened(question.question).text, golds, is_drawn]
        self._chosen.problems.append(asked)
        return len(self._chosen.problems) - 1


def _name(evaluated: KeptEvaluation, chosen: Chosen) -> str:
    return chosen.names.get(evaluated.sign, evaluated.manifest.benchmark)


def _benchmark(name: str, chosen: Chosen) -> int:
    if name not in chosen.benchmarks:
        chosen.benchmarks.append(name)
    return chosen.benchmarks.index(name)


def _add_evaluation(source: _Source, problems: dict[str, int], chosen: Chosen) -> None:
    table = read_answers(source.evaluated.directory, samples=1)
    table = table.filter(compute.is_in(table.column("problem"), pa.array(list(problems), pa.string())))
    benchmark = _benchmark(_name(source.evaluated, chosen), chosen)
    for row in sorted(table.to_pylist(), key=lambda row: problems[row["problem"]]):
        fixed = {
            "subject": source.subject,
            "step": source.evaluated.step or 0,
            "benchmark": benchmark,
            "problem": problems[row["problem"]],
            "reward": None,
        }
        _add(row | fixed, chosen)


def _add_training(place: int, cell: CellResult, chosen: Chosen) -> None:
    """Add responses of a training's own steps, as far as it kept their texts."""
    if not cell.training:
        return
    steps: dict[int, list[dict]] = {}
    for row in read_rows(RunDirectory(cell.training).samples):
        of_step = steps.setdefault(row["step"], [])
        if len(of_step) < OF_A_STEP:
            of_step.append(row)
    known = {(problem[0], problem[1]): number for number, problem in enumerate(chosen.problems)}
    for step in spread(sorted(steps), TRAINING_STEPS):
        benchmark = _benchmark(OF_TRAINING, chosen)
        for row in steps[step]:
            key = benchmark, row["problem"]
            if key not in known:
                known[key] = len(chosen.problems)
                texts = shortened(row["question"]).text, [shortened(row["gold"]).text]
                chosen.problems.append([*key, *texts, True])
            fixed = {
                "subject": place,
                "benchmark": benchmark,
                "problem": known[key],
                "text": row["response"],
                "strategy": row.get("extraction"),
            }
            _add({**dict.fromkeys(chosen.columns), "behaviours": (), **row, **fixed}, chosen)


def spread(values: Sequence[T], most: int) -> list[T]:
    """Return at most `most` of the values, evenly spread from the first to the last."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def _add(row: dict[str, Any], chosen: Chosen) -> None:
    text = shortened(row["text"])
    answer = row["answer"]
    told = {
        "text": text.text,
        "cut": text.cut,
        "answer": None if answer is None else shortened(answer).text,
        "behaviours": tuple(row["behaviours"]),
    }
    for name, column in chosen.columns.items():
        column.append(told[name] if name in told else row[name])
