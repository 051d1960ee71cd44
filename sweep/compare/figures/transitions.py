"""The figure `transitions`: what each class of pairs accounts for of the gain, stacked to both sides of zero."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweep.compare.figures.page import MARGIN, Heading, Legend, Page, line_height, number_axis, text_width, wrapped
from sweep.compare.figures.style import COLOURS, SETTINGS, SMALL, TEXT, WIDTH, printable
from sweep.compare.figures.write import save
from sweep.compare.transition_tables import named, weights
from sweep.compare.transitions import Moved

BAR, SPACE, MOST = 0.16, 0.1, 2.4  # inches: a bar, the space between lines of the figure, the most room for names
# By `had` and `has`. The classes that change have strong colours, the others light ones, hatched for prints in grey.
FILLS: dict[tuple[bool, bool], dict[str, Any]] = {
    (False, True): {"facecolor": COLOURS[0], "hatch": None},
    (True, True): {"facecolor": COLOURS[6], "hatch": "////"},
    (True, False): {"facecolor": COLOURS[2], "hatch": None},
    (False, False): {"facecolor": COLOURS[5], "hatch": "...."},
}
GAIN: dict[str, Any] = {"color": "black", "marker": "D", "markersize": 4, "linestyle": "none"}


def write_transitions(sweep: str, rows: Sequence[Moved], directory: Path) -> list[Path]:
    """Write the figure into `directory`, as SVG and as PNG, and return the files.

    Raises:
        OSError: the directory cannot be written.
    """
    import matplotlib.style

    directory.mkdir(parents=True, exist_ok=True)
    with matplotlib.style.context(["default", SETTINGS]):  # the user's own settings must not change the figure
        return save(draw(sweep, rows), "transitions", directory)


def draw(sweep: str, rows: Sequence[Moved]) -> Figure:
    """Return the figure of at least one row."""
    texts = [_texts(row, rows) for row in rows]
    width = min(MOST, max(text_width(text, SMALL) for of_row in texts for text in of_row) + 0.02)
    names = [[line for text in of_row for line in wrapped(text, width, SMALL)] for of_row in texts]
    heights = [max(BAR, len(lines) * line_height(SMALL)) + SPACE for lines in names]
    heading = Heading(
        f"sweep {sweep}: what each transition accounts for of the gain",
        [
            f"Pairs of an answer before and one after to the same problem, told apart by {rows[0].found.behaviour}. A "
            "part is share × (accuracy after − before); the parts sum to the gain. Means over n seeds."
        ],
    )
    total, below = sum(heights), line_height(TEXT) + 0.3
    legend = Legend([(name, how) for name, how in _entries(rows)])
    page = Page(heading.height + total + below + legend.height + 2 * MARGIN)
    heading.put(page)
    left = 2 * MARGIN + width + 0.06
    axes = page.axes(left, page.top, WIDTH - MARGIN - left - 0.1, total)
    _prepare(axes, total)
    down = 0.0
    for row, lines, height in zip(rows, names, heights, strict=True):
        middle = down + height / 2
        first = page.top + middle - len(lines) * line_height(SMALL) / 2
        for number, line in enumerate(lines):
            page.text(MARGIN, first + number * line_height(SMALL), line, SMALL)
        _draw_row(axes, row, middle)
        down += height
    axes.margins(x=0.08)
    page.text((left + WIDTH - MARGIN) / 2, page.top + total + 0.24, "part of the gain in points", ha="center")
    page.top += total + below
    legend.put(page)
    return page.figure


def _texts(row: Moved, rows: Sequence[Moved]) -> list[str]:
    """Return the name of a row, and below it what it compares."""
    ends = f"{weights(row.before, row, last=False)} → {weights(row.after, row, last=True)}"
    return [printable(" ".join(filter(None, named(row, rows)))), f"{ends}, n = {row.n}"]


def _entries(rows: Sequence[Moved]) -> list[tuple[str, dict]]:
    """Return the names of the classes and of the gain, each with how the legend shows it."""
    square = {"marker": "s", "markersize": 7, "linestyle": "none", "markeredgecolor": "black", "markeredgewidth": 0.5}
    parts = [(one.name, {**square, "color": FILLS[one.had, one.has]["facecolor"]}) for one in rows[0].found.classes]
    return [*parts, ("gain", GAIN)]


def _prepare(axes: Axes, total: float) -> None:
    axes.set_ylim(total, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color="black", linewidth=0.8, zorder=3)
    number_axis(axes.xaxis, 6)


def _draw_row(axes: Axes, row: Moved, middle: float) -> None:
    """Draw the parts above zero to the right and those below to the left, each behind the one before."""
    ends = {True: 0.0, False: 0.0}
    for one in row.found.classes:
        value = 100 * one.contribution
        how = {"edgecolor": "black", "linewidth": 0.5, **FILLS[one.had, one.has]}
        axes.barh(middle, value, height=BAR, left=ends[value >= 0], zorder=2, **how)
        ends[value >= 0] += value
    axes.plot([100 * row.found.gain], [middle], **GAIN, markeredgecolor="white", markeredgewidth=0.6, zorder=4)
