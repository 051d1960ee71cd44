"""An answer of a model to a problem of a benchmark, as evaluations keep it. Scores are computed from nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)  # without slots, 80,000 answers take twice the memory
class Answer:
    """One sampled answer with its verdict.

    problem: the id of the problem. sample: the number of the answer among those to this problem, from 0.
    text: the whole response. answer: what was found in it as its final answer; None if nothing was.
    correct, outcome, strategy: the verdict, how grading ended (`rewards.grading.Outcome`), and how the answer was found
    (`rewards.extraction.Strategy`; None if it was not).
    vote: the answer that it votes for in a majority: the text of the first answer to this problem that equals it, in
    the order of samples; None if it is unreadable or was not found, so that it does not vote.
    behaviours: the names of the detectors that found their behaviour in the text, sorted.
    tokens: its length. finish: why it ended, "eos", "stop" or "length" (`sweep.rollout.sample.Finish`).
    """

    problem: str
    sample: int
    text: str
    answer: str | None
    correct: bool
    outcome: str
    strategy: str | None
    vote: str | None
    behaviours: tuple[str, ...]
    tokens: int
    finish: str


def by_problem(answers: Iterable[Answer]) -> dict[str, list[Answer]]:
    """Return the answers to each problem, in the order of samples; problems keep the order of their first answer."""
    found: dict[str, list[Answer]] = {}
    for answer in answers:
        found.setdefault(answer.problem, []).append(answer)
    return {problem: sorted(those, key=lambda answer: answer.sample) for problem, those in found.items()}
