"""Draw a series of numbers as one line of text whose characters are bars of eight heights."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-:=+*#"  # the same eight heights for terminals without block characters
GAP = " "


def sparkline(values: Sequence[float | None], width: int, low: float | None = None, high: float | None = None) -> str:
    """Return the values from left to right, as `width` characters.

    A series of more values than `width` is cut into `width` pieces whose lengths differ by one at most, and each
    character shows the mean of its piece. A shorter series has one character a value and is padded with spaces.

    Args:
        values: None and non-finite numbers are missing. A piece without any value is a space.
        low, high: the values of the lowest and the highest bar; by default those of the series (of the means, if it is
            cut). Values beyond them are drawn as the lowest or the highest bar.
    Raises:
        ValueError: a width below 1, or a `low` above `high`.
    """
    if width < 1:
        raise ValueError(f"width={width}: a sparkline has at least one character")
    if low is not None and high is not None and low > high:
        raise ValueError(f"low={low} is above high={high}")
    bars = means(values, width)
    present = [mean for mean in bars if mean is not None]
    if not present:
        return GAP * width
    # If only one end is given, all values may lie beyond it: the other end must not cross it.
    bottom = low if low is not None else min([*present, *([] if high is None else [high])])
    top = high if high is not None else max([*present, bottom])
    return "".join(GAP if mean is None else BLOCKS[_height(mean, bottom, top)] for mean in bars).ljust(width, GAP)


def shown_in(encoding: str, line: str) -> str:
    """Return the sparkline in characters that a terminal with this encoding can show: blocks, or else ASCII."""
    try:
        BLOCKS.encode(encoding)
    except UnicodeEncodeError:
        return line.translate(str.maketrans(BLOCKS, ASCII))
    return line


def means(values: Sequence[float | None], width: int) -> list[float | None]:
    """Return the mean of each piece that a character stands for; the values themselves if there are few."""
    number = min(width, len(values))
    edges = [i * len(values) // number for i in range(number + 1)] if number else []
    return [_mean(values[start:end]) for start, end in itertools.pairwise(edges)]


def _mean(stretch: Sequence[float | None]) -> float | None:
    present = [value for value in stretch if value is not None and math.isfinite(value)]
    if not present:
        return None
    mean = math.fsum(value / len(present) for value in present)
    # The mean is limited to the range of the values, so that a flat series does not show rounding errors.
    return min(max(mean, min(present)), max(present))


def _height(value: float, low: float, high: float) -> int:
    """Return the height, 0 … 7, of the value between `low` and `high`; a middle height if all three are equal."""
    if value == low == high:
        return len(BLOCKS) // 2 - 1
    if value >= high:
        return len(BLOCKS) - 1
    return 0 if value <= low else int((value / 2 - low / 2) / (high / 2 - low / 2) * len(BLOCKS))
