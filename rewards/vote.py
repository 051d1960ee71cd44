"""Majority votes over answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

Vote = Literal["equivalence", "string"]
Judge = Callable[[Sequence[tuple[str | None, str]]], list[bool]]  # whether each answer equals what it is compared with


class Ballot(NamedTuple):
    """A class of equal answers: its first spelling among the most frequent, and the places that voted for it."""

    answer: str
    voters: tuple[int, ...]


def count_votes(groups: Sequence[Sequence[str | None]], vote: Vote, judge: Judge) -> list[list[Ballot]]:
    """For each group its classes of equal answers, the largest first; of equally large ones, the earliest.

    Responses without an answer, or with an empty one, do not vote. By `string`, answers are equal if they are the same
    characters (as in the paper's reference code); by `equivalence`, if `judge` says so: the most frequent spelling
    gathers what equals it, then the next one that is left.
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
    """The places of each distinct answer, the most frequent first."""
    places: dict[str, list[int]] = {}
    for place, answer in enumerate(group):
        if answer is not None and answer.strip():
            places.setdefault(answer.strip(), []).append(place)
    order = Counter({answer: len(at) for answer, at in places.items()}).most_common()  # stable: earlier first
    return {answer: places[answer] for answer, _ in order}


def _ranked(ballots: list[Ballot]) -> list[Ballot]:
    return sorted(ballots, key=lambda b: (-len(b.voters), b.voters[0]))
