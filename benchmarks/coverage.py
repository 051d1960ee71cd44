"""Do intervals of scores hold the truth as often as they say? Do paired tests find nothing where nothing changed?

    python benchmarks/coverage.py

The chances of problems to be answered right follow a beta distribution; answers are drawn by them. For each number of
problems, mean chance, likeness of the problems and number of answers: the share of intervals over problems that hold
the mean of the distribution, the share of intervals over draws that hold the mean of the problems drawn, and, for
comparison, the share of Student's intervals. For tests, answers before and after are drawn by the same chances: the
share of p below 0.05. Takes minutes on one core. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sweep.run.answers import Answer
from sweep.score.intervals import draw_error, problem_bounds
from sweep.score.paired import compare_problems

MEANS = (0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95)
ALIKE = (0.1, 0.3, 1, 3, 100)  # the sum of the beta distribution's parameters: nearly all 0 or 1; …; nearly all alike
SAMPLES = (1, 2, 4, 8, 16, 32)
BEFORE_AND_AFTER = ((1, 1), (4, 4), (16, 16), (1, 16))  # answers to a problem


def intervals(
    problems: int,
    draws: int,
    means: Sequence[float] = MEANS,
    alike: Sequence[float] = ALIKE,
    samples: Sequence[int] = SAMPLES,
) -> Iterator[dict]:
    """Yield for each case the shares of `draws` intervals that hold the truth; over draws None for one answer."""
    rng = np.random.default_rng(problems)
    for mean in means:
        for total in alike:
            chances = rng.beta(mean * total, (1 - mean) * total, (draws, problems))
            for n in samples:
                right = rng.binomial(n, chances)
                shares = right / n
                found = shares.mean(axis=1)
                low, high = problem_bounds(found, ((shares - found[:, None]) ** 2).sum(axis=1), problems)
                half = stats.t.ppf(0.975, problems - 1) * shares.std(axis=1, ddof=1) / math.sqrt(problems)
                case = {"problems": problems, "mean": mean, "alike": total, "samples": n, "over_draws": None}
                case["over_problems"] = float(np.mean((low <= mean) & (mean <= high)))
                case["student"] = float(np.mean(np.abs(found - mean) <= half))
                case["width"], case["student_width"] = float(np.mean(high - low)), float(np.mean(2 * half))
                if n > 1:
                    error = draw_error(right, np.full(problems, float(n)))
                    case["over_draws"] = float(np.mean(np.abs(found - chances.mean(axis=1)) <= error))
                yield case


def tests(problems: int, draws: int, means: Sequence[float] = MEANS, alike: Sequence[float] = ALIKE) -> Iterator[dict]:
    """Yield for each case how often p is below 0.05 though nothing changed.

    `scipys_wilcoxon` takes all answers, and its law is broken where there are more of them after than before.
    """
    rng = np.random.default_rng(problems)
    for mean in means:
        for total in alike:
            for numbers in BEFORE_AND_AFTER:
                p: dict[str, list[float | None]] = {
                    name: [] for name in ("student", "rise", "wilcoxon", "scipys_wilcoxon")
                }
                for _ in range(draws):
                    chances = rng.beta(mean * total, (1 - mean) * total, problems)
                    before, after = (rng.random((problems, n)) < chances[:, None] for n in numbers)
                    found = compare_problems([_answers(before)], [_answers(after)])
                    p["student"].append(found.student.two_sided)
                    p["rise"].append(found.student.rise)
                    p["wilcoxon"].append(found.wilcoxon.two_sided)
                    differences = np.round(after.mean(axis=1) - before.mean(axis=1), 12)
                    p["scipys_wilcoxon"].append(
                        stats.wilcoxon(differences, zero_method="pratt", method="approx").pvalue
                        if differences.any()
                        else None
                    )
                shares = {
                    name: sum(one is not None and one < 0.05 for one in those) / draws for name, those in p.items()
                }
                yield {"problems": problems, "mean": mean, "alike": total, "answers": numbers, **shares}


def _answers(right: np.ndarray) -> dict[str, list[Answer]]:
    return {
        str(problem): [
            Answer(str(problem), s, "", "", bool(r), "", None, None, (), 0, "eos") for s, r in enumerate(row)
        ]
        for problem, row in enumerate(right)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of the simulations, for a quick look")
    share = parser.parse_args().share
    held = [c for n, draws in ((30, 10_000), (500, 2_000)) for c in intervals(n, math.ceil(draws * share))]
    rejected = list(tests(30, math.ceil(1_000 * share), (0.05, 0.3, 0.5), (0.3, 3)))
    for case in (*held, *rejected):
        print(*(f"{name} {value}" for name, value in case.items()))
    print(json.dumps({"lowest_and_highest": extremes(held), "most_p_below_0.05": most(rejected)}))


def extremes(cases: Sequence[dict]) -> dict[str, dict[str, list[float]]]:
    """Return the lowest and the highest share of each interval, by the number of problems."""
    found: dict[str, dict[str, list[float]]] = {}
    for problems in sorted({case["problems"] for case in cases}):
        found[str(problems)] = {}
        for name in ("over_problems", "over_draws", "student"):
            shares = [c[name] for c in cases if c["problems"] == problems and c[name] is not None]
            found[str(problems)][name] = [min(shares), max(shares)]
    return found


def most(cases: Sequence[dict]) -> dict[str, dict[str, float]]:
    """Return the highest share of each test, with as many answers before as after, and with more after."""
    kinds = {
        "as_many_before": lambda before, after: before == after,
        "more_after": lambda before, after: before < after,
    }
    return {
        kind: {
            name: max(case[name] for case in cases if fits(*case["answers"]))
            for name in ("student", "rise", "wilcoxon", "scipys_wilcoxon")
        }
        for kind, fits in kinds.items()
    }


if __name__ == "__main__":
    main()
