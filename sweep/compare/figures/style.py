"""The common style of all figures: sizes, colours, markers, and the look of each reward. Imports no matplotlib.

A figure is as wide as the text of a one-column paper and is printed at its own size; its smallest letters have 7
points. The colours are those of Okabe and Ito, which can be told apart with any kind of colour vision. Markers and dash
patterns repeat the distinction for prints in grey.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.compare.pool import Row, axes_of

WIDTH = 5.5  # inches
TITLE, TEXT, SMALL = 9.0, 8.0, 7.0  # points
FONT = "DejaVu Sans"  # comes with matplotlib; a viewer of an SVG that lacks it shows another sans serif
GREY, FAINT = "#595959", "#D9D9D9"
COLOURS = ("#0072B2", "#000000", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
# In points, on and off; None is a solid line. There are seven colours, ten markers and four dash patterns: because the
# numbers have hardly a common divisor, many rows pass before a combination repeats.
DASHES: tuple[tuple[float, ...] | None, ...] = (None, (4, 1.5), (1, 1.2), (5, 1.2, 1, 1.2))
FIXED = ("ground_truth", "random")  # these rewards have the same look in the figures of all sweeps

# The settings of matplotlib for every figure; they replace the user's own.
SETTINGS = {
    "font.family": "sans-serif",
    "font.sans-serif": [FONT],
    "font.size": TEXT,
    "axes.labelsize": TEXT,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.8,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.fonttype": "none",  # letters stay letters, which can be searched and read aloud
    "svg.hashsalt": "rlvr-sweep",  # the same figure is the same file
}


@dataclass(frozen=True)
class Look:
    """The way a row is drawn in every panel of every figure."""

    label: str
    colour: str
    marker: str
    dashes: tuple[float, ...] | None


def looks(rows: Sequence[Row], by: Sequence[str]) -> dict[str, Look]:
    """Return the look of each row by its label within its family, in the order of the rows.

    A reward has one colour. Rows of one reward that differ in something else have other markers and dashes.
    """
    labels = {label_of(row, rows, by): row.axes.get("reward", "") if "reward" not in by else "" for row in rows}
    colours = _numbered([reward or label for label, reward in labels.items()])
    numbers = _numbered([*labels])
    return {
        label: Look(
            label,
            COLOURS[colours[reward or label] % len(COLOURS)],
            MARKERS[numbers[label] % len(MARKERS)],
            DASHES[numbers[label] % len(DASHES)],
        )
        for label, reward in labels.items()
    }


def _numbered(names: Sequence[str]) -> Mapping[str, int]:
    """Return a number for each name. The names in FIXED always have the same numbers."""
    return {name: place for place, name in enumerate(dict.fromkeys((*FIXED, *names)))}


def label_of(row: Row, rows: Sequence[Row], by: Sequence[str]) -> str:
    """Return the name of a row within its family."""
    return printable(row.told([axis for axis in axes_of(rows) if axis not in by]) or "all")


def printable(text: str) -> str:
    """Return the text with unprintable characters, such as newlines, escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(numbers: Sequence[int]) -> str:
    """Return the number of seeds as text, such as "n = 3" or "n = 2 to 3"."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return f"n = {low}" if low == high else f"n = {low} to {high}"
