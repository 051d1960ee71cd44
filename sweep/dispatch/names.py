"""Show the labels of runs as columns, one for each key, which take less room than the labels. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from sweep.run.status import Status
from sweep.shown import shown

NEXT_KEY = re.compile(r" (?=[\w.@/+~-]+=)")
LEAST, TEXT = 4, 28  # terminal columns: of a column that is cut, and of a text beside columns


@dataclass(frozen=True)
class Names:
    """The parts in which the labels of runs differ, as columns.

    keys: the heading of each column. common: the parts that all cells share, "key=value …"; they have no column.
    by_run: for each run, in order, a value for each key, or one text in place of all values.
    """

    keys: list[str]
    common: str
    by_run: list[list[str] | str]

    @property
    def width(self) -> int:
        """The terminal columns that are needed so that no column is cut."""
        of_columns = self._wide(self._widths())
        texts = [cell_len(run) for run in self.by_run if isinstance(run, str)]
        # Beside columns, the text of a stage may be cut: the columns distinguish the cells, which are more numerous.
        return max([of_columns, *(min(text, TEXT) if self.keys else text for text in texts)])

    def lines(self, width: int, ellipsis: str) -> tuple[str, list[str]]:
        """Return the heading and a line for each run, all `width` terminal columns wide; the widest columns are cut."""
        widths = self._widths()
        while self._wide(widths) > width and max(widths) > LEAST:
            widths[widths.index(max(widths))] -= 1

        def line(values: Sequence[str]) -> str:
            """Return values as a line, each cut to the width of its column."""
            cells = [set_cell_size(cut(v, w, ellipsis), w) for v, w in zip(values, widths, strict=True)]
            return set_cell_size(" ".join(cells), width)

        heading = line(self.keys) if self.keys else set_cell_size("run", width)
        return heading, [
            set_cell_size(cut(run, width, ellipsis), width) if isinstance(run, str) else line(run)
            for run in self.by_run
        ]

    def _widths(self) -> list[int]:
        rows = [self.keys, *(run for run in self.by_run if not isinstance(run, str))]
        columns = list(zip(*rows, strict=True))
        return [max(map(cell_len, column)) for column in columns]

    def _wide(self, widths: list[int]) -> int:
        return max(sum(widths) + max(0, len(widths) - 1), len("run"))


def cut(text: str, width: int, ellipsis: str) -> str:
    """Return the text, or as much of its two ends as fits: names differ at the end as much as at the beginning."""
    if cell_len(text) <= width:
        return text
    room = width - len(ellipsis)
    if room < 2:
        return set_cell_size(text, width)
    head = set_cell_size(text, room // 2)
    tail = set_cell_size(text[::-1], room - room // 2)[::-1]
    return f"{head}{ellipsis}{tail}"


def names_of(statuses: Sequence[Status], encoding: str = "utf-8") -> Names:
    """Return the columns for these runs. Runs of equal labels also get the end of their directory's name."""
    labels = [shown(s.label, encoding=encoding) for s in statuses]
    twice = Counter(labels)
    pairs = [_pairs(label) for label in labels]
    cells = [p for p in pairs if p]
    keys = list(dict.fromkeys(key for cell in cells for key in cell))
    shared = {key: cells[0][key] for key in keys if len(cells) > 1 and len({c.get(key) for c in cells}) == 1}
    left = [key for key in keys if key not in shared]
    by_run: list[list[str] | str] = []
    for status, label, cell in zip(statuses, labels, pairs, strict=True):
        if twice[label] > 1:
            by_run.append(f"{label} {shown(status.run, encoding=encoding).rpartition('-')[2]}")
        elif cell and left:
            by_run.append([cell.get(key, "") for key in left])
        else:
            by_run.append(label)
    return Names(left, " ".join(f"{key}={value}" for key, value in shared.items()), by_run)


def _pairs(label: str) -> dict[str, str]:
    """Return the key and value of each part of a cell's label; nothing if the label has no such parts."""
    parts = [part.partition("=") for part in NEXT_KEY.split(label)]
    return {key: value for key, _, value in parts} if all(sign and " " not in key for key, sign, _ in parts) else {}
