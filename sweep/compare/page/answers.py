"""Choose the answers that the page shows, of evaluations and of training, and write them as columns.

Of each evaluation the page has the first answer to the same few problems of a benchmark, so that every cell and every
step shows the same ones. They are drawn by a hash of their ids, which no result can influence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import compute
from pyarrow.parquet import ParquetFile

from sweep.compare.page.evaluated import cell_label, untrained_weights
from sweep.compare.page.texts import LONGEST, shortened
from sweep.compare.results import CellResult, Comparison
from sweep.run.answer_manifest import asked_questions
from sweep.run.answer_places import KeptEvaluation, finished, finished_of_training
from sweep.run.answer_reading import read_answers
from sweep.run.directory import RunDirectory
from sweep.run.series import read_rows

T = TypeVar("T")
KEPT = 10  # answers of a cell and evaluation
OF_TRAINING = "training"  # stands in the place of a benchmark for responses of the training itself
TRAINING_STEPS, OF_A_STEP = 4, 4  # of which the page has responses, and how many of each
MOST_CHARACTERS = 12_000_000  # of all texts; with more, evaluations before the last ones are left out
MEASURED = 50  # evaluations whose files are asked for the length of their texts
COLUMNS = ("subject", "step", "benchmark", "problem", "sample", "text", "answer", "correct", "outcome", "strategy")
MORE = ("behaviours", "tokens", "finish", "reward", "cut")


@dataclass
class Chosen:
    """The answers of the page.

    subjects: who answered: [label, model, place of the cell or None for an untrained model]. benchmarks: names.
    problems: [benchmark, id, question, golds]. texts: the different texts. columns: of each answer its values; `text`
    is a place in `texts`. left_out: in words, what there is beside.
    """

    subjects: list[list] = field(default_factory=list)
    benchmarks: list[str] = field(default_factory=list)
    problems: list[list] = field(default_factory=list)
    columns: dict[str, list] = field(default_factory=lambda: {name: [] for name in (*COLUMNS, *MORE)})
    left_out: list[str] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """Return it as the page reads it."""
        texts: dict[str, int] = {}
        columns = dict(self.columns)
        columns["text"] = [texts.setdefault(text, len(texts)) for text in columns["text"]]
        behaviours: dict[tuple[str, ...], int] = {}
        columns["behaviours"] = [behaviours.setdefault(found, len(behaviours)) for found in columns["behaviours"]]
        return {
            "subjects": self.subjects,
            "benchmarks": self.benchmarks,
            "problems": self.problems,
            "texts": list(texts),
            "behaviours": [list(found) for found in behaviours],
            "columns": columns,
            "left_out": self.left_out,
        }


@dataclass(frozen=True)
class _Source:
    """An evaluation with the place of its subject."""

    subject: int
    evaluated: KeptEvaluation


def chosen_answers(comparison: Comparison, most: int = MOST_CHARACTERS) -> Chosen:
    """Return the answers that the page shows.

    Raises:
        UserError: a file of the answers is missing or damaged.
    """
    chosen = Chosen()
    sources = _fitting(list(_sources(comparison, chosen)), most, chosen)
    kept: dict[tuple[str, str], dict[str, int]] = {}
    for source in sources:
        key = source.evaluated.manifest.benchmark, source.evaluated.manifest.questions
        if key not in kept:
            kept[key] = _problems(source.evaluated, chosen)
        _add_evaluation(source, kept[key], chosen)
    for place, cell in enumerate(comparison.cells):
        _add_training(place, cell, chosen)
    return chosen


def _sources(comparison: Comparison, chosen: Chosen) -> Iterator[_Source]:
    """Yield the finished evaluations of all cells and of the models they began from, each once."""
    root, models = comparison.root, set()
    for place, cell in enumerate(comparison.cells):
        chosen.subjects.append([cell_label(cell), cell.model, place])
        for evaluated in finished_of_training(root, Path(cell.training).name) if cell.training else []:
            yield _Source(place, evaluated)
    for cell in comparison.cells:
        weights = untrained_weights(root, cell)
        if weights is not None and weights not in models:
            models.add(weights)
            chosen.subjects.append([f"untrained {cell.model}", cell.model, None])
            for evaluated in finished(weights):
                yield _Source(len(chosen.subjects) - 1, evaluated)


def _fitting(sources: list[_Source], most: int, chosen: Chosen) -> list[_Source]:
    """Return the evaluations whose texts fit into `most` characters; the last of each cell are always among them."""
    last: dict[tuple[int, str], _Source] = {}
    for source in sources:
        last[source.subject, source.evaluated.sign] = source  # those of a cell are in the order of steps
    ends = {id(source) for source in last.values()}
    between = [source for source in sources if id(source) not in ends]
    room = most - len(ends) * _characters(sources)
    wanted = len(between) * _characters(sources)
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

    The files of some evaluations say it, since reading all texts would take minutes.
    """
    sizes, rows = 0, 0
    for source in spread(sources, MEASURED):
        for part in source.evaluated.manifest.parts:
            known = ParquetFile(source.evaluated.directory / part.file).metadata
            texts = known.schema.names.index("text")
            groups = [known.row_group(i).column(texts).total_uncompressed_size for i in range(known.num_row_groups)]
            sizes, rows = sizes + sum(groups), rows + known.num_rows
    return KEPT * min(sizes / rows, LONGEST) if rows else 0.0


def _problems(evaluated: KeptEvaluation, chosen: Chosen) -> dict[str, int]:
    """Choose problems of a benchmark; return their places by id."""
    questions = asked_questions(evaluated.directory, evaluated.manifest)
    drawn = sorted(questions, key=lambda q: hashlib.sha256(q.id.encode()).digest())[:KEPT]
    benchmark = _benchmark(evaluated.manifest.benchmark, chosen)
    found = {}
    for question in sorted(drawn, key=questions.index):
        found[question.id] = len(chosen.problems)
        golds = [shortened(gold).text for gold in question.golds]
        chosen.problems.append([benchmark, question.id, shortened(question.question).text, golds])
    return found


def _benchmark(name: str, chosen: Chosen) -> int:
    if name not in chosen.benchmarks:
        chosen.benchmarks.append(name)
    return chosen.benchmarks.index(name)


def _add_evaluation(source: _Source, problems: dict[str, int], chosen: Chosen) -> None:
    table = read_answers(source.evaluated.directory, samples=1)
    table = table.filter(compute.is_in(table.column("problem"), pa.array(list(problems), pa.string())))
    benchmark = _benchmark(source.evaluated.manifest.benchmark, chosen)
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
                chosen.problems.append([*key, *texts])
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
