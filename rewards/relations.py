"""Read equations, chains of equations, and inequalities."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from rewards.brackets import split
from rewards.exact import Number
from rewards.expression import Sym, operations, symbols
from rewards.intervals import bounded
from rewards.nodes import Assignment, Bounds, Bracketed, Claim, Equation, Leaf, Node, Relations
from rewards.parsing import Unparsed, parse
from rewards.units import split_unit

Read = Callable[[str], Node]

_EQUALS = r"(?<![<>!\\:])="
_APPROXIMATELY = r"\\(?:approx|simeq|doteq)(?![a-zA-Z])"
_RELATION = re.compile(r"\\(?:le|ge|ne)(?![a-zA-Z])|[<>]")
_ARGUMENT = r"\((?:[^()]|\([^()]*\))*\)"
_DECORATION = r"(?: ?_ ?\{[^{}]*\}| ?'+| ?\^ ?\{ ?(?:\\prime|'|\(\w\)|\\cdot) ?\}){0,3}"
_INVERSE = r"(?: ?\^ ?\{ ?-1 ?\})?"
_SPECIFIC = r"(?:\([a-zA-Z]\)|\(-?\d+\)|\(\\[a-z]+ ?\)|\(\d*[a-z]\))"  # f(x), a(3), θ(t): not a(b + c)
_FUNCTIONS = r"sin|cos|tan|cot|sec|csc|ln|log|lg|exp|min|max|gcd|arc\w+|arg|Re|Im|infty|pi"
_WORD = (
    r"(?:\\text ?\{[^{}]*\}|(?!floor|ceil)[A-Za-z]{5,}"
    r"|[A-Za-z]*(?i:area|sum|max|min|mean|cost|time|mode|rate|size))"
)
_NAMES = tuple(map(re.compile, (
    rf"\\?[a-zA-Z]{_DECORATION} ?{_SPECIFIC}?",
    rf"[fghA-Z]{_DECORATION}{_INVERSE} ?{_ARGUMENT}",
    r"[A-Z] ?\^ ?\{ ?-1 ?\}",
    rf"\( ?[fgh] ?(?:\\circ|\\cdot|[+-]) ?[fgh] ?\) ?{_ARGUMENT}",
    rf"(?!\\(?:{_FUNCTIONS})(?![a-z]))\\[a-zA-Z]+{_DECORATION} ?{_SPECIFIC}?",
    r"\\(?:overline|bar|hat|vec|overrightarrow|widehat|tilde|angle|triangle|Delta) ?(?:\{ ?\\?[a-zA-Z]+ ?\}|[a-zA-Z]+)",
    r"m ?\\angle ?(?:\{ ?)?[A-Z]{1,3}(?: ?\})?",
    rf"[A-Z]{{2,6}}{_DECORATION}",
    r"[\[|] ?(?:\\overline ?\{ ?)?[A-Z]{2,6}(?: ?\})? ?[\]|]",
    r"\\frac\{ ?d ?\^?\{?\d?\}? ?[a-z] ?\}\{ ?d ?[a-z] ?\^?\{?\d?\}? ?\}",
    rf"{_WORD}(?:(?: |(?<=\}}) ?|(?=\\)){_WORD})* ?"
    rf"(?:(?:\\(?:triangle|angle) ?)?[A-Z]{{1,4}}|{_DECORATION}|\([A-Z, ]+\))?",
)))  # fmt: skip
_TUPLE_OF_NAMES = re.compile(r"\(\s*(\\?[a-zA-Z]+(?:_\{\w+\})?'*(?:\s*,\s*\\?[a-zA-Z]+(?:_\{\w+\})?'*)+)\s*\)")
_FUNCTION = re.compile(r"(.*[^ (])\(([a-zA-Z])\)")
_VARIABLE = re.compile(r"(?:\\[a-zA-Z]+|[a-zA-Z])(?:_\{\w+\})?'*")
_LETTER = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]")


def is_name(text: str) -> bool:
    """Return True if a side only names something: `x`, `f(x)`, `AB`, `Area`; not `|x|` or `xy`, which depend on x."""
    text = text.strip()
    if len(text) > 60:
        return False
    if text[:1] == "{" and text[-1:] == "}":
        text = text[1:-1].strip()
    return any(pattern.fullmatch(text) for pattern in _NAMES)


def is_function(name: str) -> bool:
    """Return True if `name` is a function of one letter, such as f(x)."""
    return _FUNCTION.fullmatch(name.replace(" ", "")) is not None


def parameter_of(equation: Equation) -> str | None:
    """Return the variable of the function that an equation defines, or None if it defines none."""
    match = _FUNCTION.fullmatch(equation.left.replace(" ", ""))
    return match.group(2) if match else None


def with_parameter_of(equation: Equation, other: Equation) -> tuple[str, str] | None:
    """Return (name, right side) of a function's equation with its parameter renamed to that of `other`, or None.

    None means that one is not the definition of a function, or that renaming would change the meaning.
    """
    mine, theirs = (_FUNCTION.fullmatch(e.left.replace(" ", "")) for e in (equation, other))
    if mine is None or theirs is None:
        return None
    old, new = mine.group(2), theirs.group(2)
    letters = _LETTER.findall(equation.right)
    if old != new and (new in letters or old in "ei" or new in "ei"):
        return None
    right = _LETTER.sub(lambda m: new if m.group() == old else m.group(), equation.right)
    return f"{mine.group(1)}({new})", right


def equation(text: str, read: Read) -> Node | None:
    """Read an equation, a chain of equations that ends in a value, or a value with its approximation."""
    exact, *approximations = split(text, _APPROXIMATELY)
    if approximations and exact and all(approximations):
        return _approximated(exact, approximations, read)
    sides = split(text, _EQUALS)
    if len(sides) < 2 or not all(sides):
        return None
    if len(set(sides)) == 1:
        return Leaf(text)  # 0 = 0 is compared as text
    if len(sides) == 2 and not is_name(sides[0]) and is_name(sides[1]) and _constant(sides[0]):
        sides.reverse()  # 5 = x
    left, right = sides[0], sides[-1]
    names = _TUPLE_OF_NAMES.fullmatch(left)
    if names and len(sides) == 2 and isinstance(values := read(right), Bracketed):
        found = tuple(re.sub(r"[ {}]", "", name) for name in names.group(1).split(","))
        if len(found) == len(values.items) and values.opening == "(":
            return Assignment(found, values.items, ordered=True)
    constants = [side for side in sides if _constant(side)]
    if len(constants) == len(sides):  # 2 + 3 = 5 says 5
        return _claim(constants, read)
    named = bool(names) or is_name(left)
    if named and len(constants) > 1 and constants[-1] == right:
        return Equation(left, right, _claim(constants, read), named=True)
    if named and len(sides) > 2 and right not in constants:  # f(x) = (x + 1)^2 = x^2 + 2x + 1
        return Equation(left, right, _claim(sides[1:], read), named=True)
    if len(sides) > 2 and not named:
        return Leaf(text)
    return Equation(left, right, read(right), named)


def _claim(sides: list[str], read: Read) -> Node:
    values = [read(side) for side in sides]
    return Claim(values[-1], equal=tuple(pairwise(values)))


def _approximated(exact: str, approximations: list[str], read: Read) -> Node:
    value = read(exact)
    near = [read(a) for a in approximations]
    if not all(isinstance(n, Number) for n in near):
        return Leaf(exact + r"\approx" + r"\approx".join(approximations))
    if isinstance(value, Equation) and value.named:
        return Equation(value.left, value.right, _near(value.value, near), named=True)
    return _near(value, near) if _constant(exact) or not isinstance(value, Leaf) else Leaf(exact + r"\approx")


def _near(value: Node, near: list[Number]) -> Node:
    return Claim(value, near=tuple((value, n) for n in near))


def _constant(text: str) -> bool:
    """Return True if `text` is an expression without variables, with or without a unit."""
    measured = split_unit(text)
    try:
        tree = parse(measured[0] if measured else text)
        return not symbols(tree) and not any(name.startswith("value:") for name in operations(tree))
    except Unparsed:
        return bool(re.search(r"\d", text)) and not _LETTER.search(re.sub(r"\\(?:text|mbox) ?\{[^{}]*\}", "", text))


def bounds(text: str, read: Read) -> Node | None:
    """Read inequalities: in one variable as the set of its solutions, between expressions as Relations."""
    relations = [m.group() for m in _RELATION.finditer(text)]
    sides = split(text, _RELATION.pattern)
    if not 1 <= len(relations) == len(sides) - 1 <= 3 or not all(sides):
        return None
    upwards = [r in ("<", "\\le") for r in relations]
    if len(relations) == 2 and _VARIABLE.fullmatch(sides[1]) and r"\ne" not in relations and len(set(upwards)) == 1:
        return _between(sides, relations, read)
    pairs = zip(pairwise(sides), relations, upwards, strict=True)
    parts = tuple((a, r == "<", b) if up else (b, r == ">", a) for (a, b), r, up in pairs)
    if len(relations) == 1:
        (left, right), (relation,) = sides, relations
        if not _VARIABLE.fullmatch(left):
            left, right, relation = right, left, _flipped(relation)
        if _VARIABLE.fullmatch(left) and not _mentions(right, left):
            written = () if relation == r"\ne" else parts
            return Bounds(re.sub(r"[ {}]", "", left), bounded(relation, read(right)), relation=written)
    return None if r"\ne" in relations else Relations(parts)


def _between(sides: list[str], relations: list[str], read: Read) -> Node:
    if relations[0] in (">", "\\ge"):
        sides, relations = sides[::-1], [_flipped(r) for r in relations[::-1]]
    low, variable, high = sides
    opening, closing = "(" if relations[0] == "<" else "[", ")" if relations[1] == "<" else "]"
    return Bounds(re.sub(r"[ {}]", "", variable), Bracketed(opening, (read(low), read(high)), closing))


def _flipped(relation: str) -> str:
    return {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\ne": "\\ne"}[relation]


def _mentions(text: str, variable: str) -> bool:
    try:
        tree = parse(variable)
        return isinstance(tree, Sym) and tree.name in symbols(parse(text))
    except Unparsed:
        return False
