"""The quality of the majority labels of a sweep's models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sweep.compare.cells import LabelStage, label_stages
from sweep.shown import shown

VOTES = ("equivalence", "string")


@dataclass(frozen=True)
class LabelSummary:
    """The labels of a model by one kind of vote. Fractions are in [0, 1]; None if there is nothing to average.

    `vote_share`: the mean fraction of a problem's responses that gave its label; `..._right` and `..._wrong`: the same
    over problems whose label is right or wrong. `sample_accuracy`: the fraction of all responses that were correct.
    """

    model: str
    vote: str
    state: str
    problems: int
    labelled: int
    wrong: int
    label_accuracy: float | None
    sample_accuracy: float | None
    vote_share: float | None
    vote_share_right: float | None
    vote_share_wrong: float | None


def label_summaries(root: Path, name: str) -> list[LabelSummary]:
    """Return a summary for each label stage of the sweep (all its shards together) and each kind of vote."""
    return [_summary(stage, vote) for stage in label_stages(root, name) for vote in VOTES]


def _summary(stage: LabelStage, vote: str) -> LabelSummary:
    shares: dict[bool, list[float]] = {True: [], False: []}
    problems, true = 0, 0.0
    for label in stage.labels(vote):
        problems += 1
        true += label.true_share
        if label.text is not None:
            shares[label.correct].append(label.share)
    right, wrong = shares[True], shares[False]
    return LabelSummary(
        model=stage.model,
        vote=vote,
        state=stage.state,
        problems=problems,
        labelled=len(right + wrong),
        wrong=len(wrong),
        label_accuracy=len(right) / problems if problems else None,
        sample_accuracy=true / problems if problems else None,
        vote_share=_mean(right + wrong),
        vote_share_right=_mean(right),
        vote_share_wrong=_mean(wrong),
    )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def print_labels(name: str, summaries: Sequence[LabelSummary], console: Console) -> None:
    """Print a row for each model and kind of vote."""
    if not summaries:
        console.print(f"sweep {name}: no reward of it needs labels", markup=False)
        return
    table = Table(title=f"sweep {name}: majority labels of the untrained models, shares in %", title_justify="left")
    for column in ("model", "vote", "state"):
        table.add_column(column)
    numbers = (
        "problems",
        "labelled",
        "wrong",
        "label accuracy",
        "sample accuracy",
        "vote share",
        "where right",
        "where wrong",
    )
    for column in numbers:
        table.add_column(column, justify="right")
    for s in summaries:
        counts = map(str, (s.problems, s.labelled, s.wrong))
        shares = (s.label_accuracy, s.sample_accuracy, s.vote_share, s.vote_share_right, s.vote_share_wrong)
        names = (escape(shown(text)) for text in (s.model, s.vote, s.state))
        table.add_row(*names, *counts, *("" if v is None else f"{100 * v:.1f}" for v in shares))
    console.print(table)
