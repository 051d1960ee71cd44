r"""Whether a text switches to another script, such as from Latin letters to Chinese characters.

The main script of a text is the one that most of its letters have. Mathematics and code have Latin and Greek letters in
every language, and are left out: what stands in `$…$`, `\(…\)`, `\[…\]` and between backticks. In what is left

* two letters next to each other of a script that is neither the main one nor Latin nor Greek are a switch;
* Latin and Greek letters are a switch only as four words in a row, of two letters or more each: single letters and
  names of functions also stand in formulas that nothing marks as such;
* one letter alone is none, because mathematicians take single letters from several scripts.

The scripts that East Asian languages mix count as one. Letters that have no script, such as those of Unicode's
mathematical alphabets, count for none.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from functools import lru_cache

_LATIN, _GREEK = "LATIN", "GREEK"
_EAST_ASIAN = "CJK"
_SCRIPTS = {
    **dict.fromkeys(["CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"], _EAST_ASIAN),
    **{
        name: name
        for name in (
            _LATIN, _GREEK, "CYRILLIC", "ARMENIAN", "GEORGIAN", "HEBREW", "ARABIC", "SYRIAC", "ETHIOPIC", "DEVANAGARI",
            "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "THAI",
            "LAO", "TIBETAN", "MYANMAR", "KHMER", "MONGOLIAN", "CHEROKEE",
        )
    },
}  # fmt: skip
_DELIMITERS = re.compile(r"(\${1,2}|\\[()\[\]]|`+|\n)")
_CLOSES = {r"\(": r"\)", r"\[": r"\]"}  # the other delimiters close themselves
_OPENS_NOTHING = (*_CLOSES.values(), "\n")
_WITHIN_A_LINE = ("$", "`", r"\)")  # the line's end closes these too: a dollar may be one of money
_OUTSIDE_ASCII = re.compile(r"[^\x00-\x7f]{2,}")
_WORDS = re.compile(r"(?<![^\W\d_])[^\W\d_]{2,}(?:[ ,.;:!?'’-]{1,3}[^\W\d_]{2,}){3}")


def switches_script(text: str) -> bool:
    """Return True if some of the text stands in another script than most of it."""
    if text.isascii():
        return False
    prose = _without_formulas(text)
    if prose.isascii():
        return False
    counts: Counter[str] = Counter()
    for character, number in Counter(prose).items():
        found = script(character)
        if found is not None:
            counts[found] += number
    if len(counts) < 2:
        return False
    main = max(counts, key=lambda name: counts[name])
    if len(counts.keys() - {main, _LATIN, _GREEK}) and _has_two_letters_of_another(prose, main):
        return True
    return any(_has_words_of(prose, name) for name in (_LATIN, _GREEK) if name != main and name in counts)


@lru_cache(maxsize=50_000)
def script(character: str) -> str | None:
    """Return the script of a letter or of a mark on letters; None for all other characters."""
    if unicodedata.category(character)[0] not in "LM":
        return None
    return _SCRIPTS.get(re.split("[ -]", unicodedata.name(character, ""), maxsplit=1)[0])


def _without_formulas(text: str) -> str:
    """Return the text with a space for everything between delimiters of mathematics or code."""
    kept, closing = [], ""
    for part in _DELIMITERS.split(text):
        if closing:
            is_closed = part == closing or (part == "\n" and closing in _WITHIN_A_LINE)
            closing = "" if is_closed else closing
        elif _DELIMITERS.fullmatch(part) and part not in _OPENS_NOTHING:
            closing = _CLOSES.get(part, part)
            kept.append(" ")
        else:
            kept.append(part)
    return "".join(kept)


def _has_two_letters_of_another(text: str, main: str) -> bool:
    ordinary = (main, _LATIN, _GREEK, None)
    for run in _OUTSIDE_ASCII.findall(text):
        scripts = [script(character) for character in run]
        if any(one == other and one not in ordinary for one, other in itertools.pairwise(scripts)):
            return True
    return False


def _has_words_of(text: str, name: str) -> bool:
    """Return True if four words in a row have letters of the script `name` alone."""
    alone = "".join("0" if c.isalpha() and script(c) != name else c for c in text)  # a digit ends a row of words
    return _WORDS.search(alone) is not None
