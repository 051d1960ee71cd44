"""What all figures have in common: sizes, colours, markers, and which reward has which. Imports no matplotlib.

A figure is as wide as the text of a one-column paper, in which it is printed at its own size; its smallest letters have
7 points. The colours are those of Okabe and Ito, which people with any kind of colour vision tell apart. Because some
print in grey, a marker and a dash pattern say the same as the colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.compare.pool import Row, axes_of

WIDTH = 5.5  # inches
TITLE, TEXT, SMALL = 9.0, 8.0, 7.0  # points
FONT = "DejaVu Sans"  # comes with matplotlib; where an SVG is shown without it, another sans serif stands in
GREY, FAINT = "#595959", "#D9D9D9"
COLOURS = ("#0072B2", "#000000", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
# In points, on and off; None is a whole line. Seven and ten have no common divisor, and neither do seven and four.
DASHES: tuple[tuple[float, ...] | None, ...] = (None, (4, 1.5), (1, 1.2), (5, 1.2, 1, 1.2))
FIXED = ("ground_truth", "random")  # look alike in the figures of all sweeps

# The settings of matplotlib under which everything is drawn, whatever the reader's own settings are.
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
    """How a row is drawn in every panel of every figure."""

    label: str
    colour: str
    marker: str
    dashes: tuple[float, ...] | None


def looks(rows: Sequence[Row], by: Sequence[str]) -> dict[str, Look]:
    """How the rows are drawn, by what they are within their family; in the order of the rows.

    A reward has one colour. Rows of one reward that differ in something else differ in marker and dashes.
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
    """A number for each name; the fixed ones have theirs, whether they are there or not."""
    return {name: place for place, name in enumerate(dict.fromkeys((*FIXED, *names)))}


def label_of(row: Row, rows: Sequence[Row], by: Sequence[str]) -> str:
    """What a row is within its family."""
    return printable(row.told([axis for axis in axes_of(rows) if axis not in by]) or "all")


def printable(text: str) -> str:
    """The text with characters that cannot be printed, such as line ends, as their escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(numbers: Sequence[int]) -> str:
    """How many seeds, in words."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return f"n = {low}" if low == high else f"n = {low} to {high}"
