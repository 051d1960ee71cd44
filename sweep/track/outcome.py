"""The lines that `sync` prints about each training and about all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sweep.shown import shown
from sweep.track.rows import Feed
from sweep.track.writer import Written


class Kind(str, Enum):
    """The kinds of outcome of a training."""

    SENT = "sent"
    SAME = "up to date"
    SKIPPED = "left out"
    DIFFERS = "differs"
    FAILED = "failed"

    @property
    def is_well(self) -> bool:
        """True unless the training differs or failed."""
        return self not in (Kind.DIFFERS, Kind.FAILED)


@dataclass(frozen=True)
class Outcome:
    """One line of `sync`. `rows` is the number of rows that were sent."""

    label: str
    kind: Kind
    words: str
    url: str = ""
    rows: int = 0

    @staticmethod
    def of(label: str, written: Written) -> Outcome:
        """Return the outcome of a training that was sent to the server."""
        words = f"{in_words(written.sent, 'row')} of {written.rows}"
        if written.otherwise:
            count = in_words(len(written.otherwise), "step")
            words += (
                f"; {count} that training made again came out otherwise, and the server keeps what it has (--check)"
            )
        if written.missing:
            words += f"; steps {ranges(written.missing)} are missing; W&B takes none before its last: see --rebuild"
        return Outcome(label, Kind.DIFFERS if written.missing else Kind.SENT, words, written.url, written.sent)

    @property
    def line(self) -> str:
        """The line as it is printed."""
        line = f"{self.label}: {self.kind.value}: {self.words}" + (f" {self.url}" if self.url else "")
        return shown(line)  # the line may hold a server's text, so control characters are escaped


def differences(feed: Feed, unsent: Sequence[int]) -> list[str]:
    """Return sentences on how the server's rows differ from those in `feed`; `unsent` are steps after the server's
    last.
    """
    found = {
        "missing": feed.missing,
        "not sent yet": unsent,
        "otherwise than metrics.jsonl has them, since training went back": feed.otherwise,
        "there and not in metrics.jsonl, since training went back": feed.surplus,
    }
    return [f"{'step' if len(steps) == 1 else 'steps'} {ranges(steps)} {how}" for how, steps in found.items() if steps]


def total(sweep: str, outcomes: Sequence[Outcome]) -> list[str]:
    """Return the summary lines: the number of each kind, failures that several trainings have, and the projects'
    addresses.
    """
    kinds = Counter(outcome.kind for outcome in outcomes)
    counts = [f"{kinds[kind]} {kind.value}" for kind in Kind if kinds[kind]]
    rows = in_words(sum(outcome.rows for outcome in outcomes), "row")
    failures = Counter(outcome.words for outcome in outcomes if outcome.kind == Kind.FAILED)
    projects = dict.fromkeys(outcome.url.rpartition("/runs/")[0] for outcome in outcomes if outcome.url)
    return [
        *(shown(f"{count} failed: {words}") for words, count in failures.items() if count > 1),
        f"sync {sweep}: {', '.join(counts)}; {rows} sent",
        *projects,
    ]


def in_words(count: int, thing: str) -> str:
    """Return the count with the noun in singular or plural."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def ranges(steps: Sequence[int]) -> str:
    """Write the steps 1, 2, 3, 7 as `1-3, 7`."""
    parts: list[list[int]] = []
    for step in sorted(steps):
        if parts and step == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], step]
        else:
            parts.append([step])
    return ", ".join("-".join(map(str, part)) for part in parts)
