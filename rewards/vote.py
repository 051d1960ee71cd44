"""Majority votes over answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

Vote = Literal["equivalence", "string"]
Judge = Callable[[Sequence[tuple[str | None, str]]], list[bool]]  # (answer, reference) pairs -> whether each is equal


class Ballot(NamedTuple):
    """A class of equal answers: its most frequent spelling, the earliest of equals, and the places that gave it."""

    answer: str
    voters: tuple[int, ...]


def count_votes(groups: Sequence[Sequence[str | None]], vote: Vote, judge: Judge) -> list[list[Ballot]]:
    """Return for each group its classes of equal answers, the largest first; of equally large ones, the earliest first.

    Responses without an answer, or with an empty one, do not vote. With vote `string`, answers are equal if they are
    the same characters (as in the paper's reference code). With `equivalence`, the most frequent spelling gathers all
    answers that `judge` finds equal to it, then the most frequent of the rest does, and so on.
    """
    spellings = [_spellings(group) for group in groups]
    if vote == "string":
        return [_ranked([Ballot(answer, tuple(at)) for answer, at in s.items()]) for s in spellings]
    found: list[list[Ballot]] = [[] for _ in groups]
    while any(spellings):
        heads = [next(iter(s)) if s else None for s in spellings]
        rest = [(g, answer) for g, s in enumerate(spellings) for answer in list(s)[1:]]
        equal = judge([(answer, heads[g]) for g, answer in rest])
        joined = [(g, answer) for (g, answer), same in zip(rest, equal, strict=True) if same]
        for g, head in enumerate(heads):
            if head is not None:
                members = [head, *(answer for h, answer in joined if h == g)]
                voters = sorted(place for answer in members for place in spellings[g].pop(answer))
                found[g].append(Ballot(head, tuple(voters)))
    return [_ranked(ballots) for ballots in found]


def _spellings(group: Sequence[str | None]) -> dict[str, list[int]]:
    """Return the places of each distinct answer, the most frequent answer first."""
    places: dict[str, list[int]] = {}
    for place, answer in enumerate(group):
        if answer is not None and answer.strip():
            places.setdefault(answer.strip(), []).append(place)
    order = Counter({answer: len(at) for answer, at in places.items()}).most_common()  # stable: earlier first
    return {answer: places[answer] for answer, _ in order}


def _ranked(ballots: list[Ballot]) -> list[Ballot]:
    return sorted(ballots, key=lambda b: (-len(b.voters), b.voters[0]))
