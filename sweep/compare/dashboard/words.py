"""A verdict as Markdown: sentences, tables, what to run next, warnings. Pure: it contacts no server."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sweep.compare.tables import Grid, grids
from sweep.compare.verdict import Verdict
from sweep.program import program

MOST_ROWS = 100  # most rows of a table: a page with thousands is slow to open, and `compare` prints them all
MEANS_SOMETHING = re.compile(r"([\\`*_\[\]<>|~#])")


def escaped(text: str) -> str:
    """Return the text in one line, escaped so that Markdown shows it literally."""
    return MEANS_SOMETHING.sub(r"\\\1", " ".join(text.split()))


def sentences_markdown(verdict: Verdict) -> str:
    """Return the sentences as a list; before any cell has a result, a note that there is none yet."""
    if not any(row.final for row in verdict.rows):
        name = " ".join(verdict.comparison.sweeps)
        return f"No cell has a result yet. `{program()} compare {name} --wandb` brings this up to date."
    return "\n".join(f"* {escaped(sentence)}" for sentence in verdict.sentences)


def tables_markdown(verdict: Verdict) -> str:
    """Return every table, with its title in bold above it."""
    return "\n\n".join(_table(grid, verdict) for grid in grids(verdict))


def remarks_markdown(verdict: Verdict) -> str:
    """Return what to run next and the warnings; "" if there are neither."""
    parts = [f"Next ({escaped(one.why)}):\n\n```\n{one.command}\n```" for one in verdict.suggestions]
    if verdict.warnings:
        parts.append("\n".join(f"* {escaped(line)}" for line in verdict.warnings))
    return "\n\n".join(parts)


def verdict_markdown(verdict: Verdict) -> str:
    """Return sentences, tables and remarks together."""
    parts = [sentences_markdown(verdict), tables_markdown(verdict), remarks_markdown(verdict)]
    return "\n\n".join(part for part in parts if part)


def _table(grid: Grid, verdict: Verdict) -> str:
    title = "  \n".join(f"**{escaped(line)}**" for line in grid.title.splitlines())
    marks = ["--:" if column in grid.numbers else ":--" for column in grid.columns]
    lines = [_line(grid.columns), "|".join(["", *marks, ""]), *map(_line, grid.rows[:MOST_ROWS])]
    foot = [escaped(line) for line in grid.foot]
    if (more := len(grid.rows) - MOST_ROWS) > 0:
        name = " ".join(verdict.comparison.sweeps)
        foot.append(f"{more:,} rows more: `{program()} compare {name}` prints them.")
    return "\n\n".join([title, "\n".join(lines), *foot])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"
