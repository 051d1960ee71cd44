"""Flags of a response's behaviour (code, repetition), which are logged beside every reward."""

from __future__ import annotations

from typing import Literal

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
    seen: dict[int, int] = {}
    for start in range(len(text) - characters + 1):
        stretch = hash(text[start : start + characters])
        seen[stretch] = seen.get(stretch, 0) + 1
        if seen[stretch] >= times:
            return True
    return False
