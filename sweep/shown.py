"""Text of a run as a terminal is given it: what would control the terminal is shown instead, and obeyed by nothing.

Names, notes, errors and logs hold what models, rewards and libraries wrote. An escape sequence among it could clear
the screen, recolour it, or write over other lines, and marks for the direction of writing could reorder a line.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

ASCII_LOCALES = ("C", "POSIX")
# Control characters (C0, DEL and C1), marks without a width (direction, joining), halves of a character, and the two
# separators of lines and paragraphs.
CONTROLLING = ("Cc", "Cf", "Cs", "Zl", "Zp")


def shown(text: str, keep: str = "", encoding: str = "utf-8") -> str:
    r"""The text with `\x1b` for an escape character, `\n` for a new line, `\u202e` for a mark of direction, and so on.

    Args:
        keep: characters that are left as they are.
        encoding: of the terminal; characters that it lacks are shown in the same way.
    """
    visible = "".join(_escaped(c) if c not in keep and unicodedata.category(c) in CONTROLLING else c for c in text)
    return visible.encode(encoding, "backslashreplace").decode(encoding)


def shown_lines(text: str, encoding: str = "utf-8") -> str:
    """The same of a text of several lines, whose ends and tabs are meant."""
    return shown(text, "\n\t", encoding)


def encoding_of(declared: str, environment: Mapping[str, str]) -> str:
    """The encoding of what a terminal can show, where Python writes to it in the encoding `declared`.

    A locale of C or POSIX promises ASCII alone, whatever Python makes of it. Where none is named, Python is believed.
    """
    lang, of_characters = environment.get("LANG"), environment.get("LC_CTYPE")
    if lang in ASCII_LOCALES and of_characters in ("C.UTF-8", "C.utf8", "UTF-8"):
        of_characters = lang  # Python itself has put this in the place of LANG=C
    locale = environment.get("LC_ALL") or of_characters or lang
    return "ascii" if locale in ASCII_LOCALES else declared


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
