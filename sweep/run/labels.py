"""Majority labels on disk: `labels.jsonl` of a label stage, a row for each training problem.

A row holds the problem's place and id, how often each answer was given, how many responses had none, and for each way
of voting the label, its share of the responses, and whether it equals the gold answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.run.directory import RunDirectory


@dataclass(frozen=True)
class Label:
    """The majority label of the training problem at a place; `text` is None where no response had an answer."""

    place: int
    id: str
    text: str | None
    share: float
    correct: bool
    true_share: float


def read_rows(directory: Path) -> Iterator[dict]:
    """The rows of one label stage, one at a time; a last line cut short by a crash is left out."""
    path = RunDirectory(directory).labels
    if not path.exists():
        return
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def read_labels(directories: Sequence[Path], vote: str) -> Iterator[Label]:
    """The labels of all shards by one way of voting, in no particular order."""
    for directory in directories:
        for row in read_rows(directory):
            yield Label(
                row["place"], row["id"], *(row[vote][k] for k in ("label", "share", "correct")), row["true_share"]
            )


def usable(labels: Iterable[Label], wrong_only: bool) -> Iterator[Label]:
    """Those a reward can train on: problems that have a label, and only the wrongly labelled ones where asked."""
    return (label for label in labels if label.text is not None and not (wrong_only and label.correct))


def too_few(count: int, prompts_per_step: int, before: int) -> str | None:
    """Why a cell is refused that has `count` of `before` problems left; None where it is not.

    A step takes `prompts_per_step` different problems, unless there were fewer to begin with (one-shot training).
    """
    if count >= min(prompts_per_step, before):
        return None
    return f"labels leave {count} of {before} problems, fewer than a batch of {prompts_per_step}"
