"""Grade a rollout's worth of realistic responses, guard on, beside math-verify called directly in one process.

    python benchmarks/grading.py

64 problems × 16 responses: long reasoning around MATH-500-like answers, half of them wrong, a quarter in a rewritten
form, at most half of a problem's answers repeated. The peer parses each gold answer once, as its best user would, and
takes the whole response, as it is meant to. The last line is JSON; `ratio` is throughput over the peer's.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rewards.grading import Grader, GradingConfig

PROBLEMS, SAMPLES, ROUNDS = 64, 16, 3
WORKERS = 2
# Gold answers by kind, as often as MATH-500 has them (three in five are integers): (gold, the same otherwise, wrong).
KINDS = [
    lambda n: (str(n), f"{n}.0", str(n + 3)),
    lambda n: (str(17 * n), f"x = {17 * n}", str(17 * n - 1)),
    lambda n: (str(-n), f"-{2 * n}/2", str(n)),
    lambda n: (f"{n}", f"\\text{{{n}}}", f"{n * 10}"),
    lambda n: (f"{n}", f"{n}^\\circ", f"{n + 90}"),
    lambda n: (f"{n * 1000}", f"{n},000", f"{n * 100}"),
    lambda n: (
        f"\\frac{{{n}}}{{{2 * n + 1}}}",
        f"\\dfrac{{{3 * n}}}{{{6 * n + 3}}}",
        f"\\frac{{{n + 1}}}{{{2 * n + 1}}}",
    ),
    lambda n: (f"{n}\\sqrt{{3}}", f"\\sqrt{{{3 * n * n}}}", f"{n}\\sqrt{{2}}"),
    lambda n: (f"({n}, {n + 1})", f"\\left({n}.0,{n + 1}\\right)", f"({n + 1}, {n})"),
    lambda n: (f"x^2 + {n}x - 6", f"-6 + {n}x + x^{{2}}", f"x^2 - {n}x - 6"),
]
STEP = (
    "Let us consider the quantity $a_{k} = \\frac{k(k+1)}{2}$ for $k = %d$. Substituting gives $%d + %d = %d$, and "
    "since $\\sqrt{%d}$ lies between two consecutive integers, we may continue with the case $n \\le %d$.\n"
)


def responses(seed: int) -> list[tuple[str, str]]:
    """(response, gold) pairs of one rollout."""
    rng = random.Random(seed)
    pairs = []
    for problem in range(PROBLEMS):
        gold, rewritten, _ = KINDS[problem % len(KINDS)](n := rng.randint(5, 400))
        wrong = [KINDS[problem % len(KINDS)](n + 7 * k)[2] for k in range(SAMPLES // 2)]
        # 4 as the gold answer, 4 rewritten, 8 wrong of which some repeat: at most half of the answers are repeats.
        answers = [gold] * 4 + [rewritten] * 4 + [rng.choice(wrong[:6]) if k % 4 == 0 else wrong[k] for k in range(8)]
        rng.shuffle(answers)
        pairs += [(_reasoning(rng) + f"Therefore the answer is $\\boxed{{{a}}}$.", gold) for a in answers]
    return pairs


def _reasoning(rng: random.Random) -> str:
    steps = []
    for _ in range(rng.randint(6, 14)):
        a, b = rng.randint(1, 90), rng.randint(1, 90)
        steps.append(STEP % (a, a, b, a + b, a * b, rng.randint(2, 40)))
    return "".join(steps)


def main() -> None:
    from math_verify import parse, verify

    config = GradingConfig(name="benchmark", extraction=("boxed", "answer_tag"), deadline_s=5.0, memory_gb=2.0)
    began = time.perf_counter()
    grader = Grader(config, WORKERS)
    grader.grade([("\\sqrt{8}", "2\\sqrt{2}"), ("\\sqrt{8}+1", "2\\sqrt{2}")])
    start_s = time.perf_counter() - began
    parse("$\\frac{1}{2}$")  # the peer's first parse builds tables too
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    agreement = []
    for seed in range(ROUNDS):
        pairs = responses(seed)
        began = time.perf_counter()
        found = [grader.extract(text) for text, _ in pairs]
        ours = grader.grade([(f and f.text, gold) for f, (_, gold) in zip(found, pairs, strict=True)])
        seconds["ours"].append(time.perf_counter() - began)
        began = time.perf_counter()
        golds = {gold: parse(f"${gold}$") for _, gold in pairs}
        peer = [verify(golds[gold], parse(text)) for text, gold in pairs]
        seconds["peer"].append(time.perf_counter() - began)
        agreement += [a.correct == b for a, b in zip(ours, peer, strict=True)]
        print(f"round {seed}: ours {seconds['ours'][-1]:.2f} s, math-verify {seconds['peer'][-1]:.2f} s")
        assert 0.45 < sum(g.correct for g in ours) / len(ours) < 0.55, "half of the answers are wrong"
    count = PROBLEMS * SAMPLES
    ratios = sorted(p / o for p, o in zip(seconds["peer"], seconds["ours"], strict=True))
    result = {
        "responses": count,
        "workers": WORKERS,
        "worker_start_s": round(start_s, 2),
        "ours_per_s": round(count / sorted(seconds["ours"])[ROUNDS // 2], 1),
        "math_verify_per_s": round(count / sorted(seconds["peer"])[ROUNDS // 2], 1),
        "agreement": round(sum(agreement) / len(agreement), 4),
        "ratio_each_round": [round(r, 1) for r in ratios],
        "ratio": round(ratios[ROUNDS // 2], 1),
    }
    grader.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
