"""Behaviour flags of a response, logged beside every reward."""

from __future__ import annotations

from typing import Literal

Behaviour = Literal["code", "prose"]


def uses_code(text: str) -> bool:
    """Code reasoning as the paper detects it: the response contains the string "python" (2506.10947, section 4)."""
    return "python" in text


def shows(text: str, behaviour: Behaviour) -> bool:
    """Whether a text shows a behaviour; what is no code is prose."""
    return uses_code(text) == (behaviour == "code")


def repeats_itself(text: str, characters: int, times: int) -> bool:
    """Whether some stretch of so many characters occurs that many times (overlaps count, so any loop is found)."""
    seen: dict[int, int] = {}
    for start in range(len(text) - characters + 1):
        stretch = hash(text[start : start + characters])
        seen[stretch] = seen.get(stretch, 0) + 1
        if seen[stretch] >= times:
            return True
    return False
