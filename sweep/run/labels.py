"""Majority labels on disk: `labels.jsonl` of a label stage has a row for each training problem.

A row holds the problem's place and id, how often each answer was given, how many responses had no answer, and for each
kind of vote the label, its fraction of the responses, and whether it equals the gold answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.run.directory import RunDirectory


@dataclass(frozen=True)
class Label:
    """The majority label of the training problem at `place`; `text` is None if no response had an answer."""

    place: int
    id: str
    text: str | None
    share: float
    correct: bool
    true_share: float


def read_rows(directory: Path) -> Iterator[dict]:
    """Yield the rows of one label stage. A last line that a crash cut short is left out."""
    path = RunDirectory(directory).labels
    if not path.exists():
        return
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def read_labels(directories: Sequence[Path], vote: str) -> Iterator[Label]:
    """Yield the labels of all shards by one kind of vote, in no particular order."""
    for directory in directories:
        for row in read_rows(directory):
            voted = row[vote]
            yield Label(
                row["place"], row["id"], voted["label"], voted["share"], voted["correct"], true_share=row["true_share"]
            )


def usable(labels: Iterable[Label], wrong_only: bool) -> Iterator[Label]:
    """Yield the labels that a reward can train on: problems with a label; with `wrong_only` only wrong labels."""
    return (label for label in labels if label.text is not None and not (wrong_only and label.correct))


def too_few(count: int, prompts_per_step: int, before: int) -> str | None:
    """Return why a cell with `count` of `before` problems left is refused; None if it is not.

    A step takes `prompts_per_step` different problems, unless there were fewer in the first place (one-shot training).
    """
    if count >= min(prompts_per_step, before):
        return None
    return f"labels leave {count} of {before} problems, fewer than a batch of {prompts_per_step}"
