"""The numbers of an evaluation, from its answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sweep.run.answers import Answer, by_problem
from sweep.score.grouped import Grouped
from sweep.score.majority import majority_at_k
from sweep.score.means import means
from sweep.score.pass_at_k import curve_ks, pass_at_k


@dataclass(frozen=True)
class Evaluation:
    """Means over all answers to all problems. `tokens` is a length; the other means lie in [0, 1].

    `code_accuracy` and `prose_accuracy` are None if no answer has code, or if all have; `ended_accuracy` is that of the
    answers that were not cut off, None if all were. `at_k`: `pass@k` and `maj@k` for the powers of two above 1, where
    problems have several answers.
    """

    accuracy: float
    code: float
    code_accuracy: float | None
    prose_accuracy: float | None
    truncated: float
    tokens: float
    unparsed: float
    timeouts: float
    problems: int
    samples_per_problem: int
    extracted: float
    ended_accuracy: float | None
    at_k: dict[str, float]

    @property
    def numbers(self) -> dict[str, float | None]:
        """All numbers by their names, as results and rows of metrics have them."""
        found = asdict(self)
        return found | found.pop("at_k")


NAMES = [name for name in Evaluation.__dataclass_fields__ if name not in ("at_k", "problems", "samples_per_problem")]

_AT_K = re.compile(r"(pass|maj)@([0-9]+)")


def evaluation_of(answers: Sequence[Answer], samples_per_problem: int) -> Evaluation:
    """Return the numbers of answers, `samples_per_problem` to each problem; there is at least one."""
    groups, over_all = by_problem(answers), asdict(means(answers))
    at_k: dict[str, float] = {}
    for k in curve_ks(samples_per_problem)[1:]:
        at_k |= {f"pass@{k}": pass_at_k(groups, k), f"maj@{k}": majority_at_k(groups, k)}
    return Evaluation(
        **{name: over_all[name] for name in NAMES},
        problems=len(groups),
        samples_per_problem=samples_per_problem,
        at_k=at_k,
    )


def is_number(name: str) -> bool:
    """Return whether `number` computes a number of this name."""
    return name in NAMES or _AT_K.fullmatch(name) is not None


def number(answers: Grouped, name: str) -> float | None:
    """Return one number of an evaluation by its name: a mean, `pass@k`, or `maj@k` for any k.

    Raises:
        UserError: k is below 1, or above the smallest number of answers to a problem.
        ValueError: there is no such number.
    """
    if at_k := _AT_K.fullmatch(name):
        score = {"pass": pass_at_k, "maj": majority_at_k}[at_k[1]]
        return score(answers, int(at_k[2]))
    if name not in NAMES:
        raise ValueError(f"{name}: no number of an evaluation")
    return getattr(means(answer for those in answers.values() for answer in those), name)
