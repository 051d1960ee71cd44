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


def first_equals(
    groups: Sequence[Sequence[str | None]], earlier: Sequence[Sequence[str]], judge: Judge
) -> list[list[str | None]]:
    """Return for each answer the first answer of its group that equals it, itself included; None for None.

    More answers can so be added to a group without changing what the earlier ones vote for.

    Args:
        earlier: for each group the different answers that were given before, in order; an answer of the group that
            equals one of them counts as the first that does.
    """
    spellings = [list(dict.fromkeys(answer.strip() for answer in group if answer is not None)) for group in groups]
    heads = [list(those) for those in earlier]
    found: list[dict[str, str]] = [{} for _ in groups]
    place = 0
    while any(spellings):
        for those, left in zip(heads, spellings, strict=True):
            if left and place == len(those):
                those.append(left[0])
        pairs = [(g, answer) for g, left in enumerate(spellings) for answer in left]
        unlike = [(g, answer) for g, answer in pairs if answer != heads[g][place]]
        equal = dict(zip(unlike, judge([(answer, heads[g][place]) for g, answer in unlike]), strict=True))
        for g, answer in pairs:
            if equal.get((g, answer), True):
                found[g][answer] = heads[g][place]
                spellings[g].remove(answer)
        place += 1
    return [
        [None if answer is None else first[answer.strip()] for answer in group]
        for group, first in zip(groups, found, strict=True)
    ]
