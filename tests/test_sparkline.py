"""Sparklines, by hand: eight heights between the lowest and the highest, stretches of equal length, gaps."""

from __future__ import annotations

import math

import pytest

from sweep.compare.sparkline import ASCII, BLOCKS, shown_in, sparkline

UP = [0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("values", "width", "ends", "line"),
    [
        (UP, 8, {}, "▁▂▃▄▅▆▇█"),  # heights of 7/8 each: 0 … 0.875 is the lowest, 6.125 … 7 the highest
        (UP[::-1], 8, {}, "█▇▆▅▄▃▂▁"),
        # Stretches of two: means 0.5, 2.5, 4.5, 6.5; a third of the way is 2.67 eighths, two thirds are 5.33.
        (UP, 4, {}, "▁▃▆█"),
        (UP, 1, {}, "▄"),  # one mean, which is the lowest and the highest
        ([0, 1, 2, 3, 4], 2, {}, "▁█"),  # stretches of two and of three
        ([0, 1], 5, {}, "▁█   "),
        ([], 3, {}, "   "),
        ([None, None], 3, {}, "   "),
        ([0, None, 1], 3, {}, "▁ █"),
        ([0, math.nan, math.inf, -math.inf, 1], 5, {}, "▁   █"),
        ([0, None, None, None, 1, 1], 3, {}, "▁ █"),  # a stretch takes the values that it has
        ([5, 5, 5], 3, {}, "▄▄▄"),
        ([0.5], 1, {"low": 0, "high": 1}, "▅"),
        ([0, 0.25, 0.5, 1], 4, {"low": 0, "high": 1}, "▁▃▅█"),
        ([-3, 0.5, 9], 3, {"low": 0, "high": 1}, "▁▅█"),  # beyond the ends
        ([0, 0], 2, {"low": 0, "high": 1}, "▁▁"),
        ([1, 2], 2, {"low": 3}, "▁▁"),
        ([4, 5], 2, {"high": 3}, "██"),
        ([0, 1], 2, {"low": -1}, "▅█"),
        ([1, 2, 3], 3, {"low": 2, "high": 2}, "▁▄█"),
        ([-1.7e308, 0, 1.7e308], 3, {}, "▁▅█"),
        ([1.7e308, 1.7e308, 0], 2, {}, "█▁"),
        ([0.1] * 10, 3, {}, "▄▄▄"),  # their means differ by rounding, and the line stays flat
    ],
)
def test_a_line_by_hand(values, width, ends, line):
    assert sparkline(values, width, **ends) == line


@pytest.mark.parametrize("number", [1, 7, 80, 81, 300, 1000])
@pytest.mark.parametrize("width", [1, 7, 80])
def test_it_is_as_wide_as_was_asked_for_and_rises_with_its_values(number, width):
    line = sparkline(list(range(number)), width)
    assert len(line) == width
    assert sorted(line.rstrip()) == list(line.rstrip())


@pytest.mark.parametrize(("width", "ends"), [(0, {}), (-1, {}), (3, {"low": 1, "high": 0})])
def test_what_cannot_be_drawn_is_refused(width, ends):
    with pytest.raises(ValueError, match=r"width|low"):
        sparkline([1.0], width, **ends)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "utf-16"])
def test_a_terminal_without_blocks_gets_as_many_heights(encoding):
    assert len(BLOCKS) == len(ASCII) == len(set(ASCII))
    shown = shown_in(encoding, "▁ █")
    assert shown == ("▁ █" if encoding.startswith("utf") else "_ #")
    assert shown.encode(encoding)
