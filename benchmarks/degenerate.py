"""Is an answer ever right by accident? Degenerate answers, mutated golds, and golds in other words.

    python benchmarks/degenerate.py
    python benchmarks/degenerate.py deepscaler.jsonl

Golds are this file's own, in the forms of real sets, or the `answer` of each line of a JSON-lines file. A degenerate
answer (infinite, undefined, empty, a bare operator, a whole set, a placeholder) may satisfy only golds that say the
same. A mutated gold (a digit, a sign, a function, a relation or a base is another) may be right only where its value is
the gold's, which another parser (latex2sympy) and sympy compute apart, to 60 digits. A gold, and each of nine rewritten
forms of it, must be right; those that are not are listed. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.golds import DEGENERATE, KINDS, REWRITTEN, golds, mutations, read_golds
from rewards.grading import Grader, GradingConfig, Outcome

_SAME = (
    {r"\mathbb{R}", r"(-\infty,\infty)", r"x\in\mathbb{R}", r"\mathbf{R}", r"\text{allrealnumbers}", r"\R"},
    {r"\emptyset", r"\varnothing", r"\{\}"},
    {r"\infty", r"+\infty"},
    {"x", r"\{x\}"},
)
_SEPARATORS = re.compile(
    r"\\\\|\\(?:text|mbox|begin|end) ?\{[^{}]*\}|(?<![a-z])(?:and|or)(?![a-z])"
    r"|\\(?:le|ge|leq|geq|cup|in|quad|mid)(?![a-z])|[,;&=<>]"
)


def says_the_same(degenerate: str, gold: str) -> bool:
    """Whether a gold is that degenerate answer itself, or one of its other names."""
    bare = [re.sub(r"\s|\$|\\left|\\right|\\[\[\]()]|\.$", "", text) for text in (degenerate, gold)]
    a, b = (re.sub(r"^\w(?:\(\w\))?=(?=.)|^\\text\{(.*)\}$", r"\1", text) for text in bare)
    return a == b or any(a in names and b in names for names in _SAME)


def satisfied_by_accident(grader: Grader, pool: list[str], answers: list[str]) -> dict[str, list[str]]:
    """The golds that each degenerate answer satisfies although they say something else."""
    pairs = [(answer, gold) for answer in answers for gold in pool]
    found: dict[str, list[str]] = {}
    for (answer, gold), grade in zip(pairs, grader.grade(pairs), strict=True):
        if grade.correct and not says_the_same(answer, gold):
            found.setdefault(answer, []).append(gold)
    return found


def wrongly_right(grader: Grader, mutants: list[tuple[str, str, str]]) -> tuple[list[tuple[str, str, str]], int]:
    """(mutants judged right whose value is not the gold's, how many were judged right with the gold's value)."""
    grades = grader.grade([(mutant, gold) for _, gold, mutant in mutants])
    right = [m for m, grade in zip(mutants, grades, strict=True) if grade.correct]
    wrong = [m for m in right if not same_value_apart(m[1], m[2])]
    return wrong, len(right) - len(wrong)


def same_value_apart(gold: str, mutant: str) -> bool:
    """Whether two texts that differ in one place have the same value there, by another parser and sympy."""
    parts = [_SEPARATORS.split(text) for text in (gold, mutant)]
    marks = [_SEPARATORS.findall(text) for text in (gold, mutant)]
    if marks[0] != marks[1]:
        return False
    return all(a == b or _values(a) == _values(b) is not None for a, b in zip(*parts, strict=True))


def _values(latex: str) -> frozenset | None:
    r"""The values of an expression to 60 digits, at three points if it has variables; both of a `\pm`."""
    from latex2sympy2_extended import latex2sympy
    from sympy import Rational

    text = re.sub(r"\$|\\left|\\right|\\boxed|\\[\[\]()]", "", latex).strip(" .")
    while (surplus := sum(text.count(c) for c in "({[") - sum(text.count(c) for c in ")}]")) and text:
        text = text[1:] if surplus > 0 else text[:-1]
    found = set()
    for sign in "+-":
        try:
            expression = latex2sympy(text.replace(r"\pm", sign), is_real=None)
            for point in range(3):
                names = sorted(expression.free_symbols, key=str)
                place = {n: Rational(29 + 12 * k + 7 * point, 17 + 2 * point) for k, n in enumerate(names)}
                value = expression.subs(place).evalf(60)
                found.add((point, str(value)))
        except Exception:  # whatever the other parser makes of it, it did not say that the values are the same
            return None
    return frozenset(found)


def not_recognised(grader: Grader, pool: list[str]) -> list[tuple[str, str]]:
    """(form, gold) of golds that are not right as they stand, or in a rewritten form."""
    forms = {"as it stands": lambda gold: gold, **REWRITTEN}
    cases = [(name, gold) for gold in pool for name in forms]
    grades = grader.grade([(forms[name](gold), gold) for name, gold in cases])
    return [case for case, grade in zip(cases, grades, strict=True) if not grade.correct]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, help="JSON lines with an `answer` each; golds of our own if none")
    parser.add_argument("--golds", type=int, default=1000, help="for degenerate answers")
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--rewritten", type=int, default=5000, help="golds that are rewritten")
    options = parser.parse_args()
    most = max(options.golds, options.rewritten)
    pool = read_golds(options.file, most) if options.file else golds(most)
    grader = Grader(GradingConfig(name="benchmark", extraction=("boxed",), deadline_s=5.0, memory_gb=2.0), workers=2)

    accidents = satisfied_by_accident(grader, pool[: options.golds], DEGENERATE)
    for answer, satisfied in accidents.items():
        print(f"degenerate {answer!r} satisfies {len(satisfied)} golds: {satisfied[:5]}")
    mutants = mutations(pool, options.mutations)
    wrong, equal = wrongly_right(grader, mutants)
    for kind, gold, mutant in wrong:
        print(f"mutated {kind}: {mutant!r} is judged right for {gold!r}")
    unrecognised = not_recognised(grader, pool[: options.rewritten])
    for form, gold in unrecognised:
        print(f"rewritten, {form}: not right for {gold[:150]!r}")
    timeouts = sum(g.outcome is Outcome.TIMEOUT for g in grader.grade([(m, gold) for _, gold, m in mutants]))
    grader.close()
    kinds = Counter(kind for kind, _, _ in mutants)
    print(
        json.dumps(
            {
                "golds": "own" if options.file is None else options.file.name,
                "degenerate_answers": len(DEGENERATE),
                "degenerate_golds": min(options.golds, len(pool)),
                "degenerate_right_by_accident": sum(map(len, accidents.values())),
                "mutations": {kind: kinds[kind] for kind in KINDS},
                "mutations_right_with_equal_value": equal,
                "mutations_right_by_accident": len(wrong),
                "mutations_right_by_accident_per_10000": round(10_000 * len(wrong) / len(mutants), 2),
                "mutations_timed_out": timeouts,
                "rewritten_golds": min(options.rewritten, len(pool)),
                "rewritten_answers": min(options.rewritten, len(pool)) * (1 + len(REWRITTEN)),
                "rewritten_not_right": len(unrecognised),
            }
        )
    )


if __name__ == "__main__":
    main()
