"""What would control a terminal is shown."""

from __future__ import annotations

import pytest

from sweep.shown import encoding_of, shown, shown_lines


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("reward=random", "reward=random"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),  # what starts a sequence in one character
        ("a\rb\x08\x0b\x0c\x7f\x00", r"a\rb\x08\x0b\x0c\x7f\x00"),
        ("two\nlines\tand a tab", r"two\nlines\tand a tab"),
        ("ab\u202ecd\u2066\u200b\u2028", r"ab\u202ecd\u2066\u200b\u2028"),
        ("\udc80", r"\udc80"),
        ("größer 数学 …\u00a0▁", "größer 数学 …\u00a0▁"),
    ],
)
def test_it_is_shown_and_not_obeyed(text, visible):
    assert shown(text) == visible


def test_lines_and_tabs_of_a_text_of_lines_are_meant():
    assert shown_lines("a\n\tb\x1b[2J") == "a\n\tb\\x1b[2J"


def test_what_an_encoding_lacks_is_shown_too():
    assert shown("größer …", encoding="ascii") == r"gr\xf6\xdfer \u2026"
    assert shown("größer …", encoding="latin-1") == "größer \\u2026"


@pytest.mark.parametrize(
    ("environment", "encoding"),
    [
        ({}, "utf-8"),
        ({"LANG": "C.UTF-8"}, "utf-8"),
        ({"LANG": "C"}, "ascii"),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "ascii"),  # as Python leaves LANG=C
        ({"LC_CTYPE": "C.UTF-8"}, "utf-8"),
        ({"LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}, "utf-8"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "POSIX"}, "ascii"),
    ],
)
def test_what_the_locale_promises(environment, encoding):
    assert encoding_of("utf-8", environment) == encoding
