"""Load the problems of a split."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from models.hub import fetch_repository
from models.mini import arithmetic
from rewards.grading import bad_gold
from sweep.errors import UserError
from sweep.run.config import ArithmeticData, DataConfig, HubData, HubSplit
from sweep.run.keyed import generator

log = logging.getLogger("sweep.data")


@dataclass(frozen=True)
class Problem:
    """A question with its gold answer; `label` is its majority label, where a reward needs one."""

    id: str
    question: str
    answer: str
    label: str | None = None


def load_problems(config: DataConfig, split: str) -> list[Problem]:
    """The split's problems, in an order that is the same everywhere.

    Raises:
        UserError: a file or hub data set is missing, a row is malformed, or the split is empty.
    """
    if split == "train" and config.only is not None:
        return [Problem("only", config.only.question, config.only.answer)]
    if isinstance(config, ArithmeticData):
        return [Problem(p.text, p.text, str(p.answer)) for p in arithmetic.problems(split)]
    if isinstance(config, HubData):
        train = partial(_read_hub, config.train, "data.train")
        test = config.test and partial(_read_hub, config.test, "data.test")
    else:
        train = partial(_read_file, config.path)
        test = config.test_path and partial(_read_file, config.test_path)
    chosen = test() if split == "test" and test else _held_out(train(), config.held_out, bool(test), split)
    if not chosen:
        path = config.train.path if isinstance(config, HubData) else config.path
        raise UserError(f"data: no problem is left for {split}: {path} is too short for held_out={config.held_out}")
    return _gradable(chosen, config.on_bad_gold)


def _gradable(problems: list[Problem], on_bad_gold: str) -> list[Problem]:
    """The problems that some answer can solve.

    Raises:
        UserError: there are others, and they are not to be dropped.
    """
    bad = [p.id for p in problems if bad_gold(p.answer)]
    if not bad:
        return problems
    listed = ", ".join(bad[:10]) + (", …" if len(bad) > 10 else "")
    if on_bad_gold == "error":
        raise UserError(
            f"data: {len(bad)} gold answers are empty or not equal to themselves, of the problems {listed}; "
            "mend them, or leave these problems out with data.on_bad_gold=drop"
        )
    log.warning("%d problems with an empty gold answer are left out: %s", len(bad), listed)
    return [p for p in problems if p.id not in set(bad)]


def _held_out(problems: list[Problem], held_out: float, has_test: bool, split: str) -> list[Problem]:
    """Validation first, then test where it has no source of its own, the rest train."""
    order = generator("held-out problems").permutation(len(problems))
    share = int(len(problems) * held_out)
    test = 0 if has_test else share
    bounds = {"validation": (0, share), "test": (share, share + test), "train": (share + test, len(problems))}
    return [problems[i] for i in sorted(order[slice(*bounds[split])])]


def _read_hub(place: HubSplit, key: str) -> list[Problem]:
    """The rows of a hub split; the files come into the cache as a snapshot, as a model's do."""
    import datasets

    try:
        snapshot = fetch_repository(place.path, place.revision, "dataset", key=key)
    except ValueError as error:
        raise UserError(str(error)) from None
    try:
        rows = datasets.load_dataset(str(snapshot), place.subset, split=place.split)
    except (datasets.exceptions.DatasetsError, ValueError, OSError) as error:
        raise UserError(f"{key}: cannot read split {place.split!r} of {place.path}: {error}") from None
    missing = {place.question, place.answer} - set(rows.column_names)
    if missing:
        raise UserError(
            f"{key}: {place.path} has no column {' or '.join(sorted(missing))}; it has {', '.join(rows.column_names)}"
        )
    pairs = enumerate(zip(rows[place.question], rows[place.answer], strict=True))
    empty = [i for i, (question, answer) in pairs if question is None or answer is None]
    if empty:
        raise UserError(f"{key}: {place.path} has no question or no answer in row {empty[0]} ({len(empty)} such rows)")
    pairs = enumerate(zip(rows[place.question], rows[place.answer], strict=True))
    return [Problem(str(i), str(question), str(answer)) for i, (question, answer) in pairs]


def _read_file(path: str) -> list[Problem]:
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"data: cannot read {path}: {error}") from None
    problems = []
    for number, line in enumerate(lines[:-1] if lines[-1] == "" else lines, 1):
        try:
            problems.append(_problem(json.loads(line), number))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise UserError(
                f'data: {path}, line {number}: expected {{"prompt": …, "answer": …}} ({type(error).__name__}: {error})'
            ) from None
    return problems


def _problem(row: dict, number: int) -> Problem:
    question, answer = row["prompt"], str(row["answer"])
    (question + answer).encode()  # half a surrogate pair is legal JSON and no text
    return Problem(str(row.get("id", number)), question, answer)
