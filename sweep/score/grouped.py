"""The answers of an evaluation by problem, and what the scores of a problem need to know of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sweep.errors import UserError
from sweep.run.answers import Answer

Grouped = Mapping[str, Sequence[Answer]]  # the answers to each problem, as `sweep.run.answers.by_problem` returns them


def counts(answers: Grouped) -> dict[str, tuple[int, int]]:
    """Return (right answers, all answers) of each problem.

    Raises:
        UserError: there is no problem, or a problem without an answer, so that there is nothing to average.
    """
    if not answers:
        raise UserError("there is no answer to score; is the evaluation empty, or does the filter leave nothing?")
    for problem, those in answers.items():
        if not those:
            raise UserError(f"problem {problem} has no answer, so that it has no score; leave it out")
    return {problem: (sum(answer.correct for answer in those), len(those)) for problem, those in answers.items()}


def check_k(k: int, sizes: Mapping[str, int], score: str) -> None:
    """Refuse a number of answers `k` that some problem does not have. `sizes` says how many each has.

    Raises:
        UserError: k is below 1, or above the smallest number; it names the problem, its number, and k.
    """
    if k < 1:
        raise UserError(f"{score}@{k}: the number of answers must be at least 1")
    problem = min(sizes, key=lambda name: sizes[name])
    if k > sizes[problem]:
        raise UserError(
            f"{score}@{k} needs {k} answers to each problem, but problem {problem} has {sizes[problem]}; choose a k of"
            f" at most {sizes[problem]}, or evaluate with more samples per problem"
        )


def check_same_problems(first: Collection[str], second: Collection[str]) -> None:
    """Refuse two evaluations that are not of the same problems: what differs could then be the problems.

    Raises:
        UserError: they are not; it says how many each has alone, and names one.
    """
    alone = sorted(set(first) - set(second)), sorted(set(second) - set(first))
    if any(alone):
        example = (alone[0] or alone[1])[0]
        raise UserError(
            f"these are evaluations of different problems: {len(alone[0])} are in the first alone, {len(alone[1])} in"
            f" the second alone, {len(set(first) & set(second))} in both (for example, problem {example} is in one);"
            " compare evaluations of the same benchmark with the same number of problems"
        )
