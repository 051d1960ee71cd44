"""Load the problems of a split."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from models.mini import arithmetic
from sweep.errors import UserError
from sweep.run.config import ArithmeticData, JsonLinesData
from sweep.run.keyed import generator


@dataclass(frozen=True)
class Problem:
    """A question with its gold answer."""

    id: str
    question: str
    answer: str


def load_problems(config: ArithmeticData | JsonLinesData, split: str) -> list[Problem]:
    """The split's problems, in an order that is the same everywhere.

    Raises:
        UserError: a file is missing, a row is malformed, or the split is empty.
    """
    if isinstance(config, ArithmeticData):
        return [Problem(p.text, p.text, str(p.answer)) for p in arithmetic.problems(split)]
    if split == "test" and config.test_path is not None:
        chosen = _read(Path(config.test_path))
    else:
        chosen = _held_out(_read(Path(config.path)), config, split)
    if not chosen:
        raise UserError(
            f"data: no problem is left for {split}: {config.path} is too short for held_out={config.held_out}"
        )
    return chosen


def _held_out(problems: list[Problem], config: JsonLinesData, split: str) -> list[Problem]:
    """Validation first, then test where it has no file of its own, the rest train."""
    order = generator("held-out problems").permutation(len(problems))
    share = int(len(problems) * config.held_out)
    test = 0 if config.test_path is not None else share
    bounds = {"validation": (0, share), "test": (share, share + test), "train": (share + test, len(problems))}
    return [problems[i] for i in sorted(order[slice(*bounds[split])])]


def _read(path: Path) -> list[Problem]:
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise UserError(f"data: cannot read {path}: {error.strerror}") from None
    problems = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            problems.append(Problem(str(row.get("id", number)), row["prompt"], str(row["answer"])))
        except (json.JSONDecodeError, KeyError, AttributeError) as error:
            raise UserError(
                f'data: {path}, line {number}: expected {{"prompt": …, "answer": …}} ({type(error).__name__}: {error})'
            ) from None
    return problems
