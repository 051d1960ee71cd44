"""Escape characters that would control a terminal, so that a run's text is shown and has no other effect.

Names, notes, errors and logs contain text from models, rewards and libraries. An escape sequence in it could clear the
screen, recolour it, or write over other lines, and a direction mark could reorder a line.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

ASCII_LOCALES = ("C", "POSIX")
# Control characters (C0, DEL and C1), marks without a width (direction, joining), halves of a character, and the two
# separators of lines and paragraphs.
CONTROLLING = ("Cc", "Cf", "Cs", "Zl", "Zp")


def shown(text: str, keep: str = "", encoding: str = "utf-8") -> str:
    r"""Return the text with `\x1b` for an escape character, `\n` for a new line, `\u202e` for a direction mark, and so
    on.

    Args:
        keep: characters that are left unchanged.
        encoding: the terminal's; characters that it cannot show are escaped too.
    """
    visible = "".join(_escaped(c) if c not in keep and unicodedata.category(c) in CONTROLLING else c for c in text)
    return visible.encode(encoding, "backslashreplace").decode(encoding)


def shown_lines(text: str, encoding: str = "utf-8") -> str:
    """Return the text as `shown` does, but with its newlines and tabs unchanged."""
    return shown(text, "\n\t", encoding)


def encoding_of(declared: str, environment: Mapping[str, str]) -> str:
    """Return the encoding of the characters that a terminal can show, if Python writes to it in the encoding
    `declared`.

    The locales C and POSIX guarantee only ASCII, whatever encoding Python chooses. If no locale is set, `declared` is
    used.
    """
    lang, of_characters = environment.get("LANG"), environment.get("LC_CTYPE")
    if lang in ASCII_LOCALES and of_characters in ("C.UTF-8", "C.utf8", "UTF-8"):
        of_characters = lang  # Python sets LC_CTYPE by itself if LANG is C
    locale = environment.get("LC_ALL") or of_characters or lang
    return "ascii" if locale in ASCII_LOCALES else declared


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def human_bytes(size: float) -> str:
    """A number of bytes as people write it: 1.5 GiB."""
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    power = next((p for p in range(len(units)) if round(size / 1024**p, 1) < 1024), len(units) - 1)
    return f"{size / 1024**power:.1f} {units[power]}"
