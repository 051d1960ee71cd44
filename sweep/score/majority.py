"""maj@k: the accuracy of the most frequent one among k answers to a problem."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from sweep.run.answers import Answer
from sweep.score.grouped import Grouped, check_k, counts


def majority_at_k(answers: Grouped, k: int) -> float:
    """Return the mean over problems of `problem_majority_at_k`.

    Raises:
        UserError: k is below 1, or above the smallest number of answers to a problem.
    """
    shares = majorities(answers, k)
    return math.fsum(shares.values()) / len(shares)


def majorities(answers: Grouped, k: int) -> dict[str, float]:
    """Return maj@k of each problem. Problems may have different numbers of answers.

    Raises:
        UserError: k is below 1, or above the smallest number of answers to a problem.
    """
    check_k(k, {problem: n for problem, (_, n) in counts(answers).items()}, "maj")
    return {problem: problem_majority_at_k(those, k) for problem, those in answers.items()}


def problem_majority_at_k(answers: Sequence[Answer], k: int) -> float:
    """Return the mean over all choices of k of the answers to a problem of the point that their majority gets.

    The votes that are most frequent among the k share one point: each that is right gets its part. An answer without a
    vote does not vote, and k answers of which none votes get no point. A vote is right if the first answer that gives
    it is, in the order of `answers`.

    No choice is drawn and none is listed: how many choices give each result follows from how often each vote occurs.
    The result is therefore exact for any number of answers.
    """
    votes = Counter(answer.vote for answer in answers if answer.vote is not None)
    verdicts: dict[str, bool] = {}
    for answer in answers:
        if answer.vote is not None:
            verdicts.setdefault(answer.vote, answer.correct)
    choices = math.comb(len(answers), k)
    return math.fsum(
        ways / (tied * choices)
        for vote, size in votes.items()
        if verdicts[vote]
        for tied, ways in _choices_won(size, [votes[v] for v in votes if v != vote], len(answers), k).items()
    )


def _choices_won(size: int, others: Sequence[int], n: int, k: int) -> Counter[int]:
    """Count the choices of k of n answers in which a vote is among the most frequent, by how many votes are.

    size: how often the vote occurs; others: how often each other vote does. Votes that occur less often than the
    winners of a choice cannot be among them, and count with the answers that do not vote.
    """
    won: Counter[int] = Counter()
    for top in range(1, min(size, k) + 1):  # how often the winners occur among the k
        rivals = [other for other in others if other >= top]
        rest = n - size - sum(rivals)
        if top * (1 + len(rivals)) + rest < k:  # the winners would occur more often
            continue
        for rivals_tied, by_drawn in enumerate(_rival_choices(rivals, top, k - top)):
            ways = sum(int(by_drawn[drawn]) * math.comb(rest, k - top - drawn) for drawn in range(k - top + 1))
            won[rivals_tied + 1] += math.comb(size, top) * ways
    return +won


def _rival_choices(rivals: Sequence[int], top: int, most: int) -> np.ndarray:
    """Count the choices of answers of `rivals`, none of which occurs more than `top` times in the choice.

    Returns whole numbers of any size, (rivals that occur exactly `top` times) × (answers chosen, 0 to `most`).
    """
    found = np.zeros((min(len(rivals), most // top) + 1, most + 1), dtype=object)
    found[0, 0] = 1
    for rival in rivals:
        grown = found.copy()  # none of this rival's answers is chosen
        for chosen in range(1, min(top, most + 1)):
            grown[:, chosen:] += math.comb(rival, chosen) * found[:, : most + 1 - chosen]
        if top <= most:
            grown[1:, top:] += math.comb(rival, top) * found[:-1, : most + 1 - top]
        found = grown
    return found
