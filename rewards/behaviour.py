"""The behaviours that rewards read: code and repetition. `rewards.detectors` has these and the others by name."""

from __future__ import annotations

from typing import Literal

_SIEVED = 20_000  # characters of the longest text that is sieved; the sieve of a longer one may take quadratic time

Behaviour = Literal["code", "prose"]


def uses_code(text: str) -> bool:
    """Return True if the text contains "python", as the paper detects code reasoning (2506.10947, section 4)."""
    return "python" in text


def shows(text: str, behaviour: Behaviour) -> bool:
    """Return True if `text` shows `behaviour`. A text that is not code counts as prose."""
    return uses_code(text) == (behaviour == "code")


def repeats_itself(text: str, characters: int, times: int) -> bool:
    """Return True if some stretch of `characters` characters occurs at least `times` times.

    Overlapping occurrences count, so that any loop is found.
    """
    if times > 1 and len(text) <= _SIEVED and not _has_a_block_again(text, (characters + 1) // 2):
        return False
    seen: dict[int, int] = {}
    for start in range(len(text) - characters + 1):
        stretch = hash(text[start : start + characters])
        seen[stretch] = seen.get(stretch, 0) + 1
        if seen[stretch] >= times:
            return True
    return False


def _has_a_block_again(text: str, length: int) -> bool:
    """Return True if one of the blocks that `text` is cut into, each of `length` characters, also stands later in it.

    A stretch of twice the length, or one character less, holds a whole block wherever it begins. A text of which this
    is False therefore has no such stretch twice. It is found about ten times as fast as by counting all stretches.
    """
    starts = range(0, len(text) - length + 1, length)
    return any(text.find(text[start : start + length], start + 1) >= 0 for start in starts)
