"""What kind of thing an answer is: number, quantity, word, list, tuple, interval, matrix, equation …

`read` turns canonical text into a tree whose leaves are exact numbers, words, or LaTeX for the symbolic grader.
"""

from __future__ import annotations

import re
from functools import lru_cache

from rewards.brackets import closing_bracket, split, without_outer_parentheses
from rewards.exact import read_number
from rewards.nodes import (
    Bag,
    Based,
    Bounds,
    Bracketed,
    Choice,
    Equation,
    Leaf,
    Matrix,
    Node,
    Quantity,
    Ratio,
    Union,
    Words,
)  # fmt: skip
from rewards.units import split_unit

DEEPEST = 12  # levels of brackets; what lies deeper is left to the symbolic grader as it stands


_TEXT = re.compile(r"\\text ?\{([^{}]*)\}")
_WORD = re.compile(r"[A-Za-z][A-Za-z' .-]*[A-Za-z]")
_FUNCTIONS = {"sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp", "sqrt", "pi", "arcsin", "arccos", "arctan"}
_AND = re.compile(
    r"(?:\\text ?\{ ?(?:,? ?(?:and|or)) ?\}|(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z])|\\(?:lor|vee)(?![a-zA-Z]))"
)
_CHOICE = re.compile(
    r"(?:\\text ?\{ ?)?\(?([A-J])\)(?: ?\})?[.:]?(?: (.+))?|(?:\\text ?\{ ?)([A-J])(?:[.:)] ?)?\}(.*)|([A-J])[.:] ?(.+)"
)
_BASES = {
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "twelve": 12,
    "sixteen": 16,
}
_BASED = re.compile(
    r"[({]?([0-9A-F]+)[)}]? ?_ ?\{ ?(?:\\text ?\{ ?)?\(?(?:base )?(\w+?)\)?(?: ?\})? ?\}"
    r"|([0-9A-F]+) ?(?:\\text ?\{ ?)?\(?(?:in )?base[ -](\w+)\)?\}?"
)
_NAME = re.compile(
    r"\(? ?(?:\\[a-zA-Z]+\b ?\{?|[a-zA-Z|]|\\text\{[^{}]*\})"
    r"[ a-zA-Z',|\\{}_\d]*(?:\([a-zA-Z0-9, ]*\))?(?:\^\{(?:-1|\\prime|')\})?'* ?\)?"
)
_RELATION = re.compile(r"\\le(?![a-zA-Z])|\\ge(?![a-zA-Z])|[<>]")
_MATRIX = re.compile(
    r"[(\[]? ?\\begin ?\{(?:[pbB]|small)?(?:matrix|array)\} ?(?:\{[lcr| ]*\})?"
    r"(.*)\\end ?\{(?:[pbB]|small)?(?:matrix|array)\} ?[)\]]?"
)
_EVERY_REAL = re.compile(
    r"\\(?:mathbb|text|bf|mathbf|Bbb) ?\{?R\}?|\\R|(?:\\text ?\{ ?)?(?:all )?real(?: number)?s(?: ?\})?"
)
_VARIABLE = re.compile(r"\\?[a-zA-Z]+(?:_\{\w+\})?")
_INFINITY = r"\infty"


@lru_cache(maxsize=4096)
def read(text: str, depth: int = 0) -> Node:
    """The structure of canonical `text`."""
    text = without_outer_parentheses(text.strip())
    if depth > DEEPEST:
        return Leaf(text)
    for reader in _READERS:
        if (node := reader(text, depth + 1)) is not None:
            return node
    return Leaf(_plain_latex(text))


def _number(text: str, depth: int) -> Node | None:
    return read_number(text)


def _measured(text: str, depth: int) -> Node | None:
    """A plain number with its unit; its commas separate thousands, not answers."""
    found = split_unit(text)
    number = found and read_number(found[0])
    return number and (Quantity(number, found[1]) if found[1] else number)


def _time(text: str, depth: int) -> Node | None:
    """A time of day, which is no ratio."""
    bare = re.sub(r" +", "", _TEXT.sub(r"\1", text)).lower()
    match = re.fullmatch(r"(\d{1,2}:\d\d(?::\d\d)?)(?:([ap])\.?m\.?)?", bare)
    if match is None or not (match.group(2) or ":0" in bare):
        return None
    return Words(f"{match.group(1)} {match.group(2)}m" if match.group(2) else bare)


def _based(text: str, depth: int) -> Node | None:
    match = _BASED.fullmatch(text)
    if match is None:
        return None
    digits, base = (match.group(1), match.group(2)) if match.group(1) else (match.group(3), match.group(4))
    number = _BASES.get(base.lower()) or (int(base) if base.isdecimal() and len(base) < 3 else None)
    return number and Based(digits.lstrip("0") or "0", number)


def _choice(text: str, depth: int) -> Node | None:
    match = _CHOICE.fullmatch(text)
    if match is None:
        return None
    letter = match.group(1) or match.group(3) or match.group(5)
    content = (match.group(2) or match.group(4) or match.group(6) or "").strip()
    return Choice(letter, read(content, depth)) if content else Words(letter)


def _words(text: str, depth: int) -> Node | None:
    bare = _TEXT.sub(lambda m: f" {m.group(1)} ", text).strip()
    spelled = bare != text.strip() and not re.search(r"[\\{}=<>^_+*/\d]", bare)
    if spelled and "," in bare:
        return _list(bare, depth)
    if spelled or _is_prose(text):
        return Words(bare)
    marked = _TEXT.fullmatch(text)  # a date, or mathematics that need not have been marked as text
    return read(marked.group(1), depth) if marked else None


def _is_prose(text: str) -> bool:
    """Whether unmarked letters are words rather than variables: `ellipse` and `all of them`, not `p - q` or `xy`."""
    if not _WORD.fullmatch(text):
        return False
    words = re.split(r"[' .-]+", text)
    long = [w for w in words if len(w) > 2 and w not in _FUNCTIONS]
    return bool(long) and all(len(w) > 1 or w in ("a", "A", "I", "s") for w in words) and not _FUNCTIONS & set(words)


def _matrix(text: str, depth: int) -> Node | None:
    match = _MATRIX.fullmatch(text)
    if match is None or "\\begin" in match.group(1):
        return None
    rows = [r for r in re.split(r"\\\\(?:\[[^\]]*\])?|\\cr(?![a-z])", match.group(1)) if r.strip()]
    cells = [tuple(read(c, depth) for c in re.split(r"(?<!\\)&", row)) for row in rows]
    return Matrix(tuple(cells)) if cells and len({len(row) for row in cells}) == 1 else None


def _every_real(text: str, depth: int) -> Node | None:
    if _EVERY_REAL.fullmatch(text):
        return Bracketed("(", (Leaf("-" + _INFINITY), Leaf(_INFINITY)), ")")
    return None


def _membership(text: str, depth: int) -> Node | None:
    parts = split(text, r"\\in(?![a-zA-Z])")
    if len(parts) == 2 and re.fullmatch(r"[\w\\{}, ()]+", parts[0]):
        return read(parts[1], depth)
    return None


def _union(text: str, depth: int) -> Node | None:
    parts = split(text, r"\\cup(?![a-zA-Z])")
    return Union(tuple(read(p, depth) for p in parts)) if len(parts) > 1 else None


def _list(text: str, depth: int) -> Node | None:
    parts = [p for piece in split(text, "[,;]") for p in split(piece, _AND.pattern)]
    parts = [p for p in parts if p]
    if len(parts) < 2:
        return None
    items = [read(p, depth) for p in parts]
    if all(isinstance(i, Bounds) for i in items) and len({i.variable for i in items}) == 1:
        return Bounds(items[0].variable, Union(tuple(i.solutions for i in items)))
    names = {re.sub(r"[ {}]", "", i.left) for i in items if isinstance(i, Equation) and i.named}
    if len(names) == 1:  # x = 1, x = 2  or  x = 1, 2
        items = [i.value if isinstance(i, Equation) and i.named else i for i in items]
    return _spread(items)


def _spread(items: list[Node]) -> Bag:
    """A bag whose bags (from ±) are opened."""
    flat: list[Node] = []
    for item in items:
        flat.extend(item.items if isinstance(item, Bag) else [item])
    return Bag(tuple(flat))


def _set(text: str, depth: int) -> Node | None:
    if not (text.startswith("\\{") and text.endswith("\\}") and closing_bracket(text, 0) == len(text) - 2):
        return Bag(()) if text == "\\emptyset" else None
    inner = text[2:-2].strip()
    bar = split(inner, r"\||:")
    if len(bar) == 2 and _RELATION.search(bar[1]):  # { x | 1 < x < 2 }
        return read(bar[1], depth)
    items = [read(p, depth) for p in split(inner, "[,;]") if p]
    return Bag(tuple(dict.fromkeys(_spread(items).items)))


def _bracketed(text: str, depth: int) -> Node | None:
    for opening, closing in (("(", ")"), ("(", "]"), ("[", ")"), ("[", "]"), ("\\langle", "\\rangle")):
        if not (text.startswith(opening) and text.endswith(closing)):
            continue
        if closing_bracket(text, 0) != len(text) - len(closing):
            continue
        parts = split(text[len(opening) : -len(closing)], "[,;]")
        if len(parts) > 1 and all(parts):
            kind = ("(", ")") if opening == "\\langle" else (opening, closing)
            return Bracketed(kind[0], tuple(read(p, depth) for p in parts), kind[1])
    return None


def _equation(text: str, depth: int) -> Node | None:
    exact, *approximations = split(text, r"\\approx(?![a-zA-Z])|\\simeq(?![a-zA-Z])")
    if approximations and exact:
        return read(exact, depth)
    sides = split(text, r"(?<![<>!\\:])=")
    if len(sides) < 2 or not all(sides):
        return None
    left, right = sides[0], sides[-1]
    arithmetic = not re.search(r"[a-zA-Z]", re.sub(r"\\[a-zA-Z]+", "", left)) and re.search(r"\d", left)
    if arithmetic and not _VARIABLE.search(re.sub(r"\\[a-zA-Z]+", "", right)):  # 2 + 3 = 5 says 5
        return read(right, depth)
    named = bool(_NAME.fullmatch(left)) and len(left) <= 40
    return Equation(left, right, read(right, depth), named)


def _bounds(text: str, depth: int) -> Node | None:
    relations = [m.group() for m in _RELATION.finditer(text)]
    parts = split(text, _RELATION.pattern)
    if not 1 <= len(relations) == len(parts) - 1 <= 2 or not all(parts):
        return None
    if len(relations) == 2:
        if not _VARIABLE.fullmatch(parts[1]) or (relations[0] in ("<", "\\le")) != (relations[1] in ("<", "\\le")):
            return None
        if relations[0] in (">", "\\ge"):
            parts, relations = parts[::-1], [_flipped(r) for r in relations[::-1]]
        low, variable, high = parts
        opening = "(" if relations[0] == "<" else "["
        closing = ")" if relations[1] == "<" else "]"
        return Bounds(variable, Bracketed(opening, (read(low, depth), read(high, depth)), closing))
    left, right = parts
    (relation,) = relations
    if not _VARIABLE.fullmatch(left):
        left, right, relation = right, left, _flipped(relation)
    if not _VARIABLE.fullmatch(left):
        return None
    bound = read(right, depth)
    if relation in (">", "\\ge"):
        return Bounds(left, Bracketed("(" if relation == ">" else "[", (bound, Leaf(_INFINITY)), ")"))
    return Bounds(left, Bracketed("(", (Leaf("-" + _INFINITY), bound), ")" if relation == "<" else "]"))


def _flipped(relation: str) -> str:
    return {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}[relation]


def _ratio(text: str, depth: int) -> Node | None:
    parts = split(text, ":|\\\\text ?\\{ ?(?:to|:) ?\\}|(?<![a-z])to(?![a-z])")
    if len(parts) < 2 or not all(parts):
        return None
    return Ratio(tuple(read(p, depth) for p in parts))


def _plus_minus(text: str, depth: int) -> Node | None:
    if not re.search(r"\\(?:pm|mp)(?![a-zA-Z])", text):
        return None
    upper = re.sub(r"\\pm(?![a-zA-Z])", "+", re.sub(r"\\mp(?![a-zA-Z])", "-", text))
    lower = re.sub(r"\\pm(?![a-zA-Z])", "-", re.sub(r"\\mp(?![a-zA-Z])", "+", text))
    return Bag((read(upper, depth), read(lower, depth)))


def _quantity(text: str, depth: int) -> Node | None:
    found = split_unit(text)
    if found is None:
        return None
    value, unit = found
    return Quantity(read(value, depth), unit) if unit else read(value, depth)


def _plain_latex(text: str) -> str:
    """A leaf's LaTeX: text wrappers around mathematics go, thousands separators too."""
    text = _TEXT.sub(lambda m: m.group(1) if re.fullmatch(r" ?[\w+\-*/^ ]{1,3} ?", m.group(1)) else m.group(), text)
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)


_READERS = (
    _number, _measured, _time, _based, _choice, _every_real, _words, _matrix, _set, _bracketed, _list, _union,
    _membership, _equation, _bounds, _plus_minus, _quantity, _ratio,
)  # fmt: skip
