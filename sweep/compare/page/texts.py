"""Long texts, cut in the middle: their beginning and their end say most of an answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST = 8_000  # characters of a text on the page


@dataclass(frozen=True)
class Shortened:
    """A text, and the number of characters that were cut out of its middle."""

    text: str
    cut: int


def shortened(text: str, longest: int = LONGEST) -> Shortened:
    """Return the text, cut in the middle if it has more than `longest` characters; the cut is said in its place.

    Halves of characters that no encoding can write are replaced.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) <= longest:
        return Shortened(text, 0)
    half = longest // 2
    cut = len(text) - 2 * half
    return Shortened(f"{text[:half]}\n[… {cut:,} characters are cut here …]\n{text[-half:]}", cut)
