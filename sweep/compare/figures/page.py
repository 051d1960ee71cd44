"""Lay out a figure from the top down, with all places in inches, so that nothing overlaps and nothing is cut off."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextToPath
from matplotlib.ticker import MaxNLocator

from sweep.compare.figures.style import FONT, GREY, SMALL, TEXT, TITLE, WIDTH, Look, printable

MARGIN = 0.08  # inches
LEADING = 1.3  # the height of a line in multiples of the letters' size
SAMPLE = 0.34  # inches: the length of a line in the legend
BETWEEN = 0.2  # inches between two entries of the legend
ROUND = (1, 2, 5, 10)  # numbers at an axis are multiples of one of these, times a power of ten
_MEASURE = TextToPath()


def line_height(size: float) -> float:
    """Return the height of a line of text in inches."""
    return size * LEADING / 72


@cache
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of a line of text in inches."""
    font = FontProperties(family=FONT, size=size, weight=weight)
    return _MEASURE.get_text_width_height_descent(text, font, ismath=False)[0] / 72


def wrapped(text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """Return the text in lines of at most `width` inches, broken at spaces, else after signs, else anywhere."""

    def fits(line: str) -> bool:
        return text_width(line.rstrip(), size, weight) <= width

    lines = [""]
    for word in re.findall(r"\S+\s*", text):
        for piece in _pieces(word, fits):
            if lines[-1] and not fits(lines[-1] + piece):
                lines.append("")
            lines[-1] += piece
    return [line.rstrip() for line in lines]


def _pieces(word: str, fits: Callable[[str], bool]) -> Iterator[str]:
    """Yield the parts a word may be broken into: the word if it fits a line, else parts that end with a sign, else
    letters.
    """
    for part in [word] if fits(word) else re.findall(r"[^_\-./=,]*.?", word):
        if fits(part):
            yield part
        else:
            yield from part


class Page:
    """A figure that is filled from the top down. Its height must be known before."""

    def __init__(self, height: float) -> None:
        self.figure = Figure(figsize=(WIDTH, height))
        self._height = height
        self.top = MARGIN  # where the free part begins, in inches from the top

    def text(self, left: float, top: float, text: str, size: float = TEXT, **how: Any) -> None:
        """Write a line with its upper left corner at `left` and `top`, in inches from the page's corner."""
        place = left / WIDTH, 1 - top / self._height
        self.figure.text(*place, text, size=size, **{"va": "top", "ha": "left", **how})

    def lines(self, lines: Iterable[str], left: float = MARGIN, size: float = TEXT, **how: Any) -> None:
        """Write lines below what is there already."""
        for line in lines:
            self.text(left, self.top, line, size, **how)
            self.top += line_height(size)

    def axes(self, left: float, top: float, width: float, height: float, **how: Any) -> Axes:
        """Add axes at a place in inches from the page's upper left corner."""
        return self.figure.add_axes(
            (left / WIDTH, 1 - (top + height) / self._height, width / WIDTH, height / self._height), **how
        )

    def sample(self, left: float, middle: float, **how: Any) -> None:
        """Draw a piece of a line with its marker, for the legend."""
        y = 1 - middle / self._height
        xs = [left / WIDTH, (left + SAMPLE / 2) / WIDTH, (left + SAMPLE) / WIDTH]
        self.figure.add_artist(Line2D(xs, [y, y, y], markevery=[1], **how))


class Heading:
    """The title and the notes at the top of a figure."""

    def __init__(self, title: str, notes: Sequence[str]) -> None:
        room = WIDTH - 2 * MARGIN
        self._title = wrapped(printable(title), room, TITLE, "bold")
        self._notes = [line for note in notes for line in wrapped(note, room, SMALL)]
        self.height = len(self._title) * line_height(TITLE) + len(self._notes) * line_height(SMALL) + 0.1

    def put(self, page: Page) -> None:
        """Write the heading on the page."""
        page.lines(self._title, size=TITLE, weight="bold")
        page.lines(self._notes, size=SMALL, color=GREY)
        page.top += 0.1


class Legend:
    """The names of the lines, in as many columns as fit."""

    def __init__(self, entries: Sequence[tuple[str, dict]]) -> None:
        """Lay out `entries`, each a name and the way its line is drawn."""
        room = WIDTH - 2 * MARGIN
        most = room - SAMPLE - 0.06
        self._entries = [(wrapped(name, most, SMALL), how) for name, how in entries]
        widest = max((text_width(line, SMALL) for lines, _ in self._entries for line in lines), default=0)
        self._width = widest + SAMPLE + 0.06 + BETWEEN
        self._columns = max(1, int((room + BETWEEN) / self._width))
        rows = [self._entries[i : i + self._columns] for i in range(0, len(self._entries), self._columns)]
        self._heights = [max(len(lines) for lines, _ in row) * line_height(SMALL) + 0.03 for row in rows]
        self._rows = rows
        self.height = sum(self._heights) + 0.08

    def put(self, page: Page) -> None:
        """Draw the legend on the page."""
        page.top += 0.08
        for row, height in zip(self._rows, self._heights, strict=True):
            for column, (lines, how) in enumerate(row):
                left = MARGIN + column * self._width
                page.sample(left, page.top + line_height(SMALL) * 0.42, **how)
                for number, line in enumerate(lines):
                    page.text(left + SAMPLE + 0.06, page.top + number * line_height(SMALL), line, SMALL)
            page.top += height


class Panels:
    """Small multiples: one panel for each family, at most three in a row, all with the same scales."""

    PANEL, TICKS, BETWEEN, BELOW = 1.45, 0.26, 0.14, 0.42  # inches: a panel's height; room for numbers, beside, below
    NUMBERS = 0.5  # inches: the widest numbers at the upright axis

    def __init__(self, titles: Sequence[str], x_label: str, y_label: str) -> None:
        self._columns = min(3, len(titles))
        self._x_label, self._y_label = x_label, wrapped(y_label, self.PANEL, TEXT)
        self._left = MARGIN + len(self._y_label) * line_height(TEXT) + self.NUMBERS
        self._width = (WIDTH - self._left - 2 * MARGIN - self.BETWEEN * (self._columns - 1)) / self._columns
        self._titles = [wrapped(title, self._width, TEXT, "bold") for title in titles]
        starts = range(0, len(titles), self._columns)
        self._heads = [
            max(len(lines) for lines in self._titles[i : i + self._columns]) * line_height(TEXT) + 0.05 for i in starts
        ]
        self._pitch = self.PANEL + self.TICKS
        self.height = sum(self._heads) + len(self._heads) * self._pitch - self.TICKS + self.BELOW

    def put(self, page: Page) -> list[Axes]:
        """Add the panels to the page and return them in the order of their titles."""
        made: list[Axes] = []
        first = page.top
        for place, lines in enumerate(self._titles):
            row, column = divmod(place, self._columns)
            left = self._left + column * (self._width + self.BETWEEN)
            top = first + sum(self._heads[: row + 1]) + row * self._pitch
            for number, line in enumerate(reversed(lines)):
                page.text(left, top - 0.05 - (number + 1) * line_height(TEXT), line, TEXT, weight="bold")
            shared = {"sharex": made[0], "sharey": made[0]} if made else {}
            axes = page.axes(left, top, self._width, self.PANEL, **shared)
            axes.tick_params(labelleft=column == 0)
            number_axis(axes.xaxis, 5)
            number_axis(axes.yaxis, 6)
            made.append(axes)
        page.top += self.height
        bottom = page.top - 0.02 - line_height(TEXT)
        page.text(self._left + (WIDTH - self._left - MARGIN) / 2, bottom, self._x_label, ha="center")
        middle = (first + self._heads[0] + page.top - self.BELOW) / 2
        for number, line in enumerate(self._y_label):
            page.text(MARGIN + number * line_height(TEXT), middle, line, rotation=90, va="center")
        return made


def number_axis(axis: Axis, most: int, whole: bool = False) -> None:
    """Show about `most` round numbers at an axis, without a common power of ten, which would overlap the title."""
    axis.set_major_locator(MaxNLocator(most, steps=ROUND, min_n_ticks=3, integer=whole))
    axis.set_major_formatter(lambda value, _: _written(value))


def _written(value: float) -> str:
    return (f"{value:.6g}" if abs(value) < 1e5 else f"{value:.4g}").replace("-", "−")


def drawn(look: Look) -> dict:
    """Return a look as matplotlib's keyword arguments."""
    style = "-" if look.dashes is None else (0, look.dashes)
    return {"color": look.colour, "marker": look.marker, "linestyle": style}
