"""Gold answers in the forms of real problem sets, and what can be done to them: mutations, rewritten forms, noise.

All of it is drawn from a keyed generator, so that every run sees the same.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

Draw = random.Random

# Answers that mean nothing in particular. None may satisfy more golds than those whose own text says the same.
DEGENERATE = [
    r"\infty", r"-\infty", r"+\infty", r"\pm\infty", r"\infty+1", r"-\infty+1", r"2\infty", r"\infty-\infty",
    r"\frac{1}{\infty}", r"0\cdot\infty", r"\infty^{0}", r"\sqrt{\infty}", r"x=\infty", r"x\to\infty",
    r"\frac{\infty}{\infty}", r"\frac{1}{0}", r"\frac{0}{0}", r"-\frac{1}{0}", "1/0", "0/0", "0^0", r"0^{-1}",
    r"\log 0", r"\ln 0", r"\tan 90^\circ", r"\tan\frac{\pi}{2}", r"\sec 90^\circ", r"\cot 0", r"\frac{x}{0}",
    r"\sqrt[0]{2}", r"\log_1 5", r"\log_0 3", r"(-1)!", r"\frac{1}{1-1}", r"\frac{\sqrt2}{\sqrt2-\sqrt2}", "nan",
    "NaN", "inf", "undefined", "DNE", "None", "null", "N/A", "?", "unknown", r"\text{no solution}",
    r"\text{does not exist}", r"\text{infinite}", r"\text{any number}", r"\text{all}", "", " ", "{}", "()", "[]",
    r"\{\}", r"\emptyset", r"\varnothing", r"\{\emptyset\}", r"\boxed{}", r"\text{}", "$$", "$ $", r"\frac{}{}",
    r"\sqrt{}", r"\sum", r"\int", r"\lim", r"\sin", r"\log", r"\frac", r"\sqrt", r"\pm", "+", "-", "=", "*", "/", "^",
    "_", "!", "<", ">", r"\cdot", r"\le", r"\ne", "|", "||", ",", ";", ":", ".", "...", r"\ldots", "%", r"\%",
    r"^\circ", r"\$", r"\mathbb{R}", r"(-\infty,\infty)", r"x\in\mathbb{R}", r"\mathbb{Z}", r"\mathbb{C}",
    r"[-\infty,\infty]", "x=x", "0=0", "a=a", "x", "x=", "=5", r"x\ne x", r"x\le\infty", r"x>-\infty", r"\{x\}",
    r"\{x|x=x\}", r"\forall x", r"x \text{ or not } x", "[answer]", r"\square", r"\underline{\quad}", "_____",
    r"\text{answer}", r"\pi\infty", r"i\infty",
]  # fmt: skip


def golds(count: int, key: int = 0) -> list[str]:
    """`count` different gold answers, of every form in turn."""
    draw = Draw(f"golds {key}")
    found: dict[str, None] = {}
    while len(found) < count:
        for form in _FORMS:
            found.setdefault(form(draw))
    return list(found)[:count]


def read_golds(path: Path, count: int | None = None, key: int = 0) -> list[str]:
    """The different answers of a JSON-lines file, or so many of them, drawn."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    found = list(dict.fromkeys(str(row["answer"]) for row in rows))
    return found if count is None or count >= len(found) else Draw(f"read {key}").sample(found, count)


def _n(draw: Draw, low: int = 2, high: int = 99) -> int:
    return draw.randint(low, high)


def _letter(draw: Draw) -> str:
    return draw.choice("xyznabkt")


def _sign(draw: Draw) -> str:
    return draw.choice(["", "", "-"])


def _fraction(draw: Draw) -> str:
    command = draw.choice([r"\frac", r"\frac", r"\dfrac", r"\tfrac"])
    return rf"{command}{{{_n(draw)}}}{{{_n(draw, 2, 999)}}}"


def _surd(draw: Draw) -> str:
    return rf"{_n(draw, 2, 40)}\sqrt{{{draw.choice([2, 3, 5, 6, 7, 10, 11, 13, 15, 17])}}}"


def _polynomial(draw: Draw, letter: str | None = None) -> str:
    x = letter or _letter(draw)
    a, b, c = _n(draw, 2, 9), _n(draw), _n(draw)
    return f"{a}{x}^{draw.randint(2, 5)} {draw.choice('+-')} {b}{x} {draw.choice('+-')} {c}"


def _matrix(draw: Draw) -> str:
    rows = [" & ".join(f"{_sign(draw)}{_n(draw)}" for _ in range(2)) for _ in range(2)]
    return rf"\begin{{pmatrix}} {rows[0]} \\ {rows[1]} \end{{pmatrix}}"


_RELATIONS = [">", r"\ge", "<", r"\le", r"\neq"]
_WORDS = ["Evelyn", "Navin", "ellipse", "even", "Yes", "No", "Tuesday", "north", "hyperbola"]
_FORMS: list[Callable[[Draw], str]] = [
    lambda d: str(_n(d, 2, 3000)),
    lambda d: f"-{_n(d, 1, 500)}",
    lambda d: f"{_n(d, 1, 90)},{_n(d, 100, 999)}",
    lambda d: f"{_n(d, 1, 90)}.{_n(d, 10, 999)}",
    lambda d: _sign(d) + _fraction(d),
    lambda d: f"{_n(d)}/{_n(d, 2, 300)}",
    lambda d: rf"{_n(d)}\frac{{{_n(d, 1, 4)}}}{{{_n(d, 5, 19)}}}",
    lambda d: _surd(d),
    lambda d: rf"{_n(d)} {d.choice('+-')} {_surd(d)}",
    lambda d: rf"\frac{{{_n(d)}+{_surd(d)}}}{{{_n(d)}}}",
    lambda d: rf"\frac{{\sqrt{{{_n(d)}}}}}{{{_n(d)}}}",
    lambda d: rf"\sqrt[{d.choice([3, 4, 5])}]{{{_n(d)}}}",
    lambda d: rf"{_n(d)}\pi",
    lambda d: rf"\frac{{{_n(d, 2, 30)}\pi}}{{{_n(d, 3, 50)}}}",
    lambda d: rf"{_n(d)}\pi + {_n(d)}",
    lambda d: rf"{_n(d, 2, 9)}-{_n(d, 2, 9)}\ln {_n(d, 2, 30)}",
    lambda d: rf"\log_{{{_n(d, 2, 9)}}} {_n(d, 10, 99)}",
    lambda d: rf"{d.choice([chr(92) + 'sin', chr(92) + 'cos', chr(92) + 'tan'])} {_n(d, 1, 89)}^\circ",
    lambda d: rf"\arctan {_fraction(d)}",
    lambda d: rf"e^{{{_n(d, 2, 20)}}} - {_n(d)}",
    lambda d: rf"{_n(d, 2, 12)}^{{{_n(d, 20, 400)}}}",
    lambda d: rf"{_n(d, 2, 12)}^{{{_n(d, 20, 400)}}} {d.choice('+-')} {_n(d, 1, 9)}",
    lambda d: rf"{_n(d, 10, 300)}! - {_n(d, 1, 9)}",
    lambda d: rf"\binom{{{_n(d, 40, 200)}}}{{{_n(d, 3, 39)}}}",
    lambda d: rf"1-\left({_fraction(d)}\right)^{{{_n(d, 10, 300)}}}",
    lambda d: rf"{_n(d, 1, 9)}.{_n(d, 1, 9)} \times 10^{{{_sign(d)}{_n(d, 3, 30)}}}",
    lambda d: rf"0.\overline{{{_n(d)}}}",
    lambda d: rf"{_n(d)}\%",
    lambda d: rf"{_n(d, 1, 179)}^\circ",
    lambda d: rf"\${_n(d)}.{_n(d, 10, 99)}",
    lambda d: rf"{_n(d)} \text{{ {d.choice(['cm', 'km', 'minutes', 'square feet', 'meters per second', 'apples'])}}}",
    lambda d: rf"{_n(d)}\mbox{{ {d.choice(['cm', 'inches', 'ft'])}}}^{d.choice('23')}",
    lambda d: rf"({_sign(d)}{_n(d)}, {_sign(d)}{_n(d)})",
    lambda d: rf"\left({_fraction(d)}, {_surd(d)}, {_n(d)}\right)",
    lambda d: rf"[{_n(d, 1, 20)}, {_n(d, 21, 50)}{d.choice(')]')}",
    lambda d: rf"(-\infty, {_n(d, 1, 9)}) \cup ({_n(d, 10, 50)}, \infty)",
    lambda d: rf"\{{{_n(d, 1, 9)}, {_n(d, 10, 19)}, {_n(d, 20, 29)}\}}",
    lambda d: f"{_n(d, 1, 9)}, {_n(d, 10, 19)}, {_n(d, 20, 29)}",
    lambda d: rf"{_n(d)} \pm {_surd(d)}",
    lambda d: rf"{_n(d, 1, 9)} \text{{ and }} {_n(d, 10, 19)}",
    _polynomial,
    lambda d: rf"\frac{{{_letter(d)}+{_n(d)}}}{{{_n(d)}}}",
    lambda d: rf"\frac{{{(x := _letter(d))}^2 - {_n(d)}}}{{{x} + {_n(d)}}}",
    lambda d: rf"{_n(d, 2, 9)}^{{{d.choice('nk')}-{_n(d, 1, 9)}}}",
    lambda d: rf"\binom{{n}}{{{_n(d, 2, 5)}}} - {_n(d)}",
    lambda d: rf"\lfloor \frac{{n}}{{{_n(d, 2, 9)}}} \rfloor",
    lambda d: rf"{_letter(d)} = {_sign(d)}{_n(d)}",
    lambda d: f"y = {_n(d)}x {d.choice('+-')} {_n(d)}",
    lambda d: f"f(x) = {_polynomial(d, 'x')}",
    lambda d: f"{_n(d)}x {d.choice('+-')} {_n(d)}y + {_n(d)} = 0",
    lambda d: f"(m, n) = ({_n(d)}, {_n(d)})",
    lambda d: f"a = {_n(d)}, b = {_n(d)}",
    lambda d: rf"{_n(d, 1, 9)} < x {d.choice(['<', chr(92) + 'le'])} {_n(d, 10, 40)}",
    lambda d: f"{_letter(d)} {d.choice(_RELATIONS)} {_sign(d)}{_n(d)}",
    lambda d: f"{_n(d)}:{_n(d)}",
    lambda d: f"{_n(d, 10, 66)}{_n(d, 10, 66)}_{d.choice('789')}",
    _matrix,
    lambda d: rf"\text{{{d.choice(_WORDS)}}}",
    lambda d: rf"\text{{({d.choice('ABCDE')})}}",
    lambda d: f"{_n(d)} {d.choice('+-')} {_n(d)}i",
    lambda d: rf"f(x) = {_n(d)} \text{{ or }} f(x) = {_n(d)}x - {_n(d)}",
    lambda d: rf"{_n(d)}\mathbf{{i}} {d.choice('+-')} {_n(d)}\mathbf{{j}}",
    lambda d: rf"\frac{{{_n(d, 10, 300)}!}}{{{_n(d, 2, 9)}^{{{_n(d, 10, 60)}}}}}",
]  # fmt: skip


_SWAPS = {
    "function": {
        r"\sin": [r"\cos", r"\tan"], r"\cos": [r"\sin", r"\sec"], r"\tan": [r"\cot", r"\sin"],
        r"\ln": [r"\log", r"\sin"], r"\log": [r"\ln"], r"\sqrt": [r"\sqrt[3]", r"\ln"],
        r"\arctan": [r"\arcsin", r"\tan"], r"\pi": ["e", r"\phi"],
        r"\binom": [r"\frac"], r"\frac": [r"\binom"], "!": ["", "!!"], r"\lfloor": [r"\lceil"], r"\cot": [r"\tan"],
    },
    "relation": {
        "=": ["<", r"\ne", ">"], "<": [">", r"\le", "="], ">": ["<", r"\ge", "="], r"\le": [r"\ge", "<", r"\ne"],
        r"\ge": [r"\le", ">"], r"\leq": [r"\geq", "<"], r"\geq": [r"\leq", ">"], r"\neq": ["=", "<"],
        r"\in": [r"\notin"],        r"\cup": [r"\cap"], r"\pm": ["+", "-"],
    },
}  # fmt: skip
_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|.", re.DOTALL)


def mutation(gold: str, kind: str, draw: Draw) -> str | None:
    """`gold` with one thing changed: a digit, a sign, a function, a relation or a base; None where none is.

    What is changed is never a part of a command's name, so that the mutant is what a model might write.
    """
    tokens = _TOKEN.findall(gold)
    places = [k for k in range(len(tokens)) if _mutable(tokens, k, kind)]
    if not places:
        return None
    k = draw.choice(places)
    token = tokens[k]
    if kind == "digit":
        tokens[k] = draw.choice([d for d in "123456789" if d != token])
    elif kind == "sign":
        tokens[k] = {"+": "-", "-": draw.choice(["+", ""]) if k else ""}.get(token, "-" + token)
    elif kind == "base":
        tokens[k] = draw.choice([d for d in "23456789" if d != token])
    else:
        tokens[k] = draw.choice(_SWAPS[kind][token])
        if token == r"\lfloor":
            tokens = [r"\rceil" if t == r"\rfloor" else t for t in tokens]
    mutant = "".join(tokens)
    return None if mutant == gold else mutant


def _mutable(tokens: list[str], k: int, kind: str) -> bool:
    token, before = tokens[k], tokens[k - 1] if k else ""
    if kind == "digit":
        return token.isdecimal() and before != "_"
    if kind == "base":
        return token.isdecimal() and before == "_"
    if kind == "sign":
        return token in "+-" or (token.isdecimal() and (k == 0 or before in tuple("({,= ")))
    return token in _SWAPS[kind]


KINDS = ("digit", "sign", "function", "relation", "base")


def mutations(pool: list[str], count: int, key: int = 0) -> list[tuple[str, str, str]]:
    """(kind, gold, mutant) of `count` mutations, the kinds in turn as far as the golds have them."""
    draw = Draw(f"mutations {key}")
    found: dict[tuple[str, str, str], None] = {}
    for attempt in range(60 * count):
        kind = KINDS[attempt % len(KINDS)]
        gold = draw.choice(pool)
        if (mutant := mutation(gold, kind, draw)) is not None:
            found.setdefault((kind, gold, mutant))
        if len(found) == count:
            break
    return list(found)


def _sized(gold: str) -> str:
    if re.search(r"\\left|\\right|\\\(|\\\)|\\[bB]ig", gold) or gold.count("(") != gold.count(")"):
        return gold
    return gold.replace("(", "\\left(").replace(")", "\\right)")


# Nine ways in which a model writes the same answer.
REWRITTEN: dict[str, Callable[[str], str]] = {
    "dollars": lambda g: f"\\({g}\\)" if "$" in g else f"${g}$",
    "display": lambda g: g if "$" in g or "\\[" in g or "\\(" in g else f"\\[ {g} \\]",
    "box": lambda g: f"\\boxed{{{g}}}",
    "fractions": lambda g: re.sub(r"\\[dt]?frac(?![a-z])", r"\\dfrac", g),
    "sized brackets": _sized,
    "spaces": lambda g: re.sub(r"(?<![\\{^_])([+=<>])(?![}])", r"\\,\1\\ ", g),
    "signs": lambda g: g.replace("-", "−").replace("\\times", "\\cdot").replace("\\leq", "≤").replace("\\cup", "∪"),
    "bold": lambda g: f"**{g}**",
    "full stop": lambda g: f"{g}.",
}
