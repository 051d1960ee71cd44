"""A series of numbers as one line of text whose characters are bars of eight heights."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-:=+*#"  # of the same eight heights
GAP = " "


def sparkline(values: Sequence[float | None], width: int, low: float | None = None, high: float | None = None) -> str:
    """The values from left to right, as `width` characters.

    A series of more values than `width` is cut into `width` stretches whose lengths differ by one at most, and each
    character shows the mean of its stretch. A shorter series takes a character a value and is filled up with spaces.

    Args:
        values: None, and what is not finite, is missing. A stretch without any value is a space.
        low, high: the values of the lowest and the highest bar; those of the series by default (of the means, where
            it is cut). Values beyond them are drawn as the lowest or the highest bar.
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
    # Where one end alone is given, all values may lie beyond it.
    bottom = low if low is not None else min([*present, *([] if high is None else [high])])
    top = high if high is not None else max([*present, bottom])
    return "".join(GAP if mean is None else BLOCKS[_height(mean, bottom, top)] for mean in bars).ljust(width, GAP)


def shown_in(encoding: str, line: str) -> str:
    """The sparkline in characters that a terminal of this encoding can show: the blocks, or else ASCII."""
    try:
        BLOCKS.encode(encoding)
    except UnicodeEncodeError:
        return line.translate(str.maketrans(BLOCKS, ASCII))
    return line


def means(values: Sequence[float | None], width: int) -> list[float | None]:
    """The means of the stretches that the characters of a sparkline stand for; of a short series its values."""
    number = min(width, len(values))
    edges = [i * len(values) // number for i in range(number + 1)] if number else []
    return [_mean(values[start:end]) for start, end in itertools.pairwise(edges)]


def _mean(stretch: Sequence[float | None]) -> float | None:
    present = [value for value in stretch if value is not None and math.isfinite(value)]
    if not present:
        return None
    mean = math.fsum(value / len(present) for value in present)
    # Without rounding, the mean of equal values is that value: a flat series must not show its rounding errors.
    return min(max(mean, min(present)), max(present))


def _height(value: float, low: float, high: float) -> int:
    """0 … 7, of the value between the two; a middle height for what lies on both, as there is no distance."""
    if value == low == high:
        return len(BLOCKS) // 2 - 1
    if value >= high:
        return len(BLOCKS) - 1
    return 0 if value <= low else int((value / 2 - low / 2) / (high / 2 - low / 2) * len(BLOCKS))
