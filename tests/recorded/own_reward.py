"""A reward of one's own, for the recorded plans."""

from __future__ import annotations


def brevity(group) -> list[float]:
    """One divided by the number of characters, of which at least one is counted, for each response of the group."""
    return [1 / max(1, len(response.text)) for response in group]
