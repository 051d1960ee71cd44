"""Find out what kind of thing an answer is: number, quantity, word, list, tuple, interval, matrix, equation …

`read` turns canonical text into a tree whose leaves are exact numbers, words, or LaTeX.
"""

from __future__ import annotations

import re
from functools import lru_cache

from rewards import arithmetic
from rewards.arithmetic import Arithmetic
from rewards.brackets import closing_bracket, split, without_outer_parentheses
from rewards.exact import Number, read_number
from rewards.expression import TRIGONOMETRIC, symbols
from rewards.intervals import REALS, is_interval, joined, without
from rewards.lists import BY_AND, BY_OR, conjunction, listing
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
    Undefined,
    Union,
    Without,
    Words,
)  # fmt: skip
from rewards.numerals import split_numeral
from rewards.parsing import Unparsed, parse
from rewards.relations import Read, bounds, equation
from rewards.units import split_unit

DEEPEST = 12  # levels of brackets; anything deeper is compared as text

_TEXT = re.compile(r"\\text ?\{([^{}]*)\}")
_WORD = re.compile(r"[A-Za-z][A-Za-z' .-]*[A-Za-z]")
_FUNCTIONS = {
    *TRIGONOMETRIC, "log", "ln", "lg", "exp", "sqrt", "pi", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh",
}  # fmt: skip
_CHOICE = re.compile(
    r"(?:\\text ?\{ ?)?\(?([A-J])\)(?: ?\})?[.:]?(?:(?:(?<=\})| )(.+))?"
    r"|(?:\\text ?\{ ?)([A-J])(?:[.:)] ?)?\}(.*)|([A-J])[.:] ?(.+)"
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
    r"([-+]? ?)(?:[({]?([0-9A-Fa-f]+)[)}]? ?_ ?\{ ?(?:\\text ?\{ ?)?\(?(?:base )?(-?\w+?)\)?(?: ?\})? ?\}"
    r"|([0-9A-F]+) ?(?:\\text ?\{ ?)?\(?(?:in )?base[ -](\w+)\)?\}?)"
)
_POINT = re.compile(r"((?:\\text ?\{ ?)?[A-Z](?:\})?(?:_\{\w+\})?'*) ?(\(.*\))")
_ENVIRONMENT = re.compile(
    r"[(\[]? ?\\begin ?\{(?:[pbB]|small)?(?:matrix|array)\} ?(?:\{[lcr| ]*\})?"
    r"(.*)\\end ?\{(?:[pbB]|small)?(?:matrix|array)\} ?[)\]]?"
)
_SYSTEM = re.compile(r"\\begin ?\{(?:array|cases|matrix)\} ?(?:\{[lcr| ]*\})?(.*)\\end ?\{(?:array|cases|matrix)\}")
_ROWS = re.compile(r"\\\\(?:\[[^\]]*\])?|\\cr(?![a-z])")
_EVERY_REAL = re.compile(
    r"(?i:\\(?:mathbb|text|Bbb) ?\{ ?R ?\}|\\R"
    r"|(?:\\text ?\{ ?)?(?:(?:the )?(?:set of )?all )?real(?: number)?s(?: ?\})?)"
)
_EXCEPT = re.compile(r"(.*?) ?(?:\\text ?\{ ?)?(?<![a-z])(?:except|other than|excluding|but not)(?: for)? ?\}? ?(.+)")
_RELATION_SIGN = re.compile(r"\\(?:le|ge|ne|in)(?![a-zA-Z])|[<>]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?![\d]))")
_MEASURE = re.compile(r"\d+(?:\.\d+)? [a-z]+")
_MEASURES = re.compile(rf"{_MEASURE.pattern}(?:,? (?:and )?{_MEASURE.pattern})+")
_PRODUCT = re.compile(r"[b-df-hj-np-tv-z]{3}|abcd?")  # of variables: words have vowels
_INFINITE = re.compile(r"([+-]?) ?\\infty")
_VECTORS = re.compile(r"(?:[-+0-9./ ijk{}]|\\frac(?![a-z])|\\sqrt(?![a-z]))+")


@lru_cache(maxsize=1024)
def read(text: str, depth: int = 0) -> Node:
    """Return the structure of canonical `text`; every text has one."""
    text = without_outer_parentheses(text.strip()).rstrip(". ")
    if depth > DEEPEST:
        return Leaf(text)

    def inner(part: str) -> Node:
        return read(part, depth + 1)

    for reader in _READERS:
        if (node := reader(text, inner)) is not None:
            return node
    return _expression(text)


def _number(text: str, inner: Read) -> Node | None:
    return read_number(text)


def _infinite(text: str, inner: Read) -> Node | None:
    match = _INFINITE.fullmatch(text)
    if match is None:
        return None
    return Leaf(("-" if match.group(1) == "-" else "") + r"\infty")


def _measured(text: str, inner: Read) -> Node | None:
    """Read a plain number with its unit. Its commas separate thousands, not answers."""
    found = split_unit(text)
    number = read_number(found[0]) if found else None
    if number is None:
        return None
    return Quantity(number, found[1]) if found[1] else number


def _time(text: str, inner: Read) -> Node | None:
    """Read a time of day, such as `10:05`, which is not a ratio."""
    bare = re.sub(r" +", "", _TEXT.sub(r"\1", text)).lower()
    match = re.fullmatch(r"(\d{1,2}:\d\d(?::\d\d)?)(?:([ap])\.?m\.?)?", bare)
    if match is None or not (match.group(2) or ":0" in bare):
        return None
    return Words(f"{match.group(1)} {match.group(2)}m" if match.group(2) else bare)


def _based(text: str, inner: Read) -> Node | None:
    match = _BASED.fullmatch(re.sub(r" +", " ", _TEXT.sub(r"\1", text)))
    if match is None:
        return None
    sign = "-" if "-" in match.group(1) else ""
    digits, base = (match.group(2), match.group(3)) if match.group(2) else (match.group(4), match.group(5))
    number = _BASES.get(base.lower()) or (int(base) if re.fullmatch(r"-?\d{1,2}", base) else None)
    if number is None or (digits[0] in "abcdef" and number < 11):
        return None
    return Based(sign + (digits.upper().lstrip("0") or "0"), number)


def _choice(text: str, inner: Read) -> Node | None:
    match = _CHOICE.fullmatch(text)
    if match is None:
        return None
    letter = match.group(1) or match.group(3) or match.group(5)
    content = (match.group(2) or match.group(4) or match.group(6) or "").strip()
    if not content:
        return Words(letter)
    other = re.match(r"(?:or|and)(?![a-z])|\\text ?\{ ?(?:or|and)", content) or _CHOICE.fullmatch(content)
    return None if other or content.count("{") != content.count("}") else Choice(letter, inner(content))


def _words(text: str, inner: Read) -> Node | None:
    bare = _TEXT.sub(lambda m: f" {m.group(1)} ", text).strip()
    spelled = bare != text.strip() and not re.search(r"[\\{}=<>^_+*/\d]", bare)
    if spelled and re.match(r"[-−]|.*-\s*$", bare):
        return None  # a word with a sign is not read as words
    if spelled and ("," in bare or re.fullmatch(r"[A-J](?: +(?:and|or) +[A-J])+", bare)):
        return conjunction(bare, inner)
    if spelled or _is_prose(text.rstrip("!")):
        return _numeral(bare, inner) or Words(bare)
    marked = _TEXT.fullmatch(text)  # a date, or mathematics that need not have been marked as text
    return inner(marked.group(1)) if marked else None


def _numeral(text: str, inner: Read) -> Node | None:
    """Read a number in words, with its unit."""
    found = split_numeral(text)
    if found is None:
        return None
    number, unit = found
    return inner(f"{number} {unit}") if not unit or split_unit(f"{number} {unit}") else None


def _is_prose(text: str) -> bool:
    """Return True if unmarked letters are words, not variables: `ellipse` and `all of them`, not `p - q` or `xy`."""
    if not _WORD.fullmatch(text):
        return False
    words = re.split(r"[' .-]+", text)
    long = [w for w in words if len(w) > 2 and w not in _FUNCTIONS and not _PRODUCT.fullmatch(w)]
    return bool(long) and all(len(w) > 1 or w in ("a", "A", "I", "s") for w in words) and not _FUNCTIONS & set(words)


def _compound(text: str, inner: Read) -> Node | None:
    """Read a measure of several units, such as `3 hours and 20 minutes`."""
    bare = re.sub(r" +", " ", _TEXT.sub(r" \1 ", text)).strip()
    if not _MEASURES.fullmatch(bare):
        return None
    found = [split_unit(part) for part in _MEASURE.findall(bare)]
    if not all(pair and pair[1] for pair in found):
        return None
    return Bracketed("measures", tuple(Quantity(inner(value), unit) for value, unit in found), "")


def _matrix(text: str, inner: Read) -> Node | None:
    match = _ENVIRONMENT.fullmatch(text)
    if match is None or "\\begin" in match.group(1) or re.search(r"(?<!\\)[=<>]", match.group(1)):
        return None
    rows = [r for r in _ROWS.split(match.group(1)) if r.strip()]
    cells = [tuple(map(inner, re.split(r"(?<!\\)&", row))) for row in rows]
    return Matrix(tuple(cells)) if cells and len({len(row) for row in cells}) == 1 else None


def _system(text: str, inner: Read) -> Node | None:
    """Read equations in rows as a list, and a function by cases as rows whose order does not matter."""
    if text.startswith(r"\{") and closing_bracket(text, 0) is None:
        return inner(text[2:])  # \left\{ … \right.
    match = _SYSTEM.fullmatch(text)
    rows = _ROWS.split(match.group(1) if match else text)
    rows = [row.strip(" ,;") for row in rows if row.strip(" ,;")]
    if not (match or len(rows) > 1) or any("\\begin" in row or "\\end" in row for row in rows):
        return None
    aligned = [row.replace("&", " ") for row in rows]
    if all(re.search(r"=", row) for row in aligned) and not any(
        re.search(r"& ?(?:\\text|[^=&]*[<>])", r) for r in rows
    ):
        return conjunction(", ".join(aligned), inner)
    if match is None or not all(row.count("&") == 1 for row in rows):
        return None
    pairs = [[cell.strip(" ,") for cell in row.split("&")] for row in rows]
    return Bag(tuple(Bracketed("(", (inner(value), inner(_condition(when))), ")") for value, when in pairs))


def _condition(text: str) -> str:
    return re.sub(r"^(?:\\text ?\{ ?)?(?:if|when|for)(?: ?\})? ", "", text.strip())


def _every_real(text: str, inner: Read) -> Node | None:
    return REALS if _EVERY_REAL.fullmatch(text) else None


def _except(text: str, inner: Read) -> Node | None:
    """Read `all real numbers except 0`."""
    match = _EXCEPT.fullmatch(text)
    if match is None or not _EVERY_REAL.fullmatch(match.group(1).removesuffix("}").strip()):
        return None
    removed = inner(_TEXT.sub(r" \1 ", match.group(2)).removesuffix("}"))
    removed = removed.value if isinstance(removed, Equation) else removed
    return without(REALS, removed if isinstance(removed, Bag) else Bag((removed,)))


def _membership(text: str, inner: Read) -> Node | None:
    outside = split(text, r"\\notin(?![a-zA-Z])")
    if len(outside) == 2 and isinstance(removed := inner(outside[1]), Bag):
        return Bounds(re.sub(r"[ {}]", "", outside[0]), without(REALS, removed))
    parts = split(text, r"\\in(?![a-zA-Z])")
    if len(parts) != 2 or not re.fullmatch(r"[\w\\{}, ()]+", parts[0]):
        return None
    found = inner(parts[1])
    variable = re.sub(r"[ {}]", "", parts[0])
    if not re.fullmatch(r"\\?[a-zA-Z]+(?:_\w+)?", variable) or isinstance(found, (Equation, Bounds)):
        return found
    if isinstance(found, (Union, Without)) or is_interval(found):
        return Bounds(variable, found)
    return Equation(parts[0], "", found, named=True) if isinstance(found, Bag) else found


def _union(text: str, inner: Read) -> Node | None:
    parts = split(text, r"\\cup(?![a-zA-Z])")
    return joined([inner(p) for p in parts]) if len(parts) > 1 else None


def _difference(text: str, inner: Read) -> Node | None:
    r"""Read `\mathbb{R} \setminus \{0\}`, also with a minus sign or a backslash."""
    parts = split(text, r"\\setminus(?![a-zA-Z])|(?<=\})\s*(?:-|\\)\s*(?=\\\{)")
    if len(parts) != 2 or not all(parts):
        return None
    whole, removed = map(inner, parts)
    return without(whole, removed) if isinstance(removed, Bag) or is_interval(removed) else None


def _list(text: str, inner: Read) -> Node | None:
    whole = _THOUSANDS.sub("", text) if text[:1].isdecimal() else text
    if whole != text and not re.search("[,;]", whole):
        return inner(whole)  # the commas of 100,000\pi separate no answers
    if ", " in text:
        text = re.sub(r"(?<=\d),(?=000(?!\d))", "", text)  # in 1,000, 2,000 only ", " separates answers
    return listing(text, inner) if BY_OR.search(text) or BY_AND.search(text) or re.search("[,;]", text) else None


def _set(text: str, inner: Read) -> Node | None:
    if not (text.startswith("\\{") and text.endswith("\\}") and closing_bracket(text, 0) == len(text) - 2):
        return Bag(()) if text == "\\emptyset" else None
    content = text[2:-2].strip()
    if content == "\\emptyset":  # the set that holds the empty set, which is not empty
        return Bag((Leaf(content),))
    bar = split(content, r"\||:|\\text ?\{ ?such that ?\}")
    if len(bar) == 2 and _RELATION_SIGN.search(bar[1]):  # { x | 1 < x < 2 }
        variable, *domain = split(bar[0], r"\\in(?![a-zA-Z])")
        found = inner(bar[1]) if not domain or inner(domain[0]) == REALS else None
        if isinstance(found, Bounds):  # the letter is bound: { y | 1 < y < 2 } is the same set
            return found.solutions if found.variable == re.sub(r"[ {}]", "", variable) else Leaf(text)
        return found
    if len(bar) == 1 and re.search(r"[<>]|\\(?:le|ge|ne)(?![a-z])", content):
        return inner(content)  # a box of `\left\{ x > 1 \right\}`
    items = listing(content + ",", inner) if content else Bag(())
    return Bag(tuple(dict.fromkeys(items.items))) if isinstance(items, Bag) else items


def _bracketed(text: str, inner: Read) -> Node | None:
    for opening, closing in (("(", ")"), ("(", "]"), ("[", ")"), ("[", "]"), ("\\langle", "\\rangle")):
        if not (text.startswith(opening) and text.endswith(closing)):
            continue
        if closing_bracket(text, 0) != len(text) - len(closing):
            continue
        parts = split(text[len(opening) : -len(closing)], "[,;]")
        if len(parts) > 1 and all(parts):
            kind = ("(", ")") if opening == "\\langle" else (opening, closing)
            return Bracketed(kind[0], tuple(map(inner, parts)), kind[1])
    return None


def _point(text: str, inner: Read) -> Node | None:
    """Read `A(1, 2)`, a point with its name."""
    match = _POINT.fullmatch(text)
    if match is None or closing_bracket(match.group(2), 0) != len(match.group(2)) - 1:
        return None
    place = inner(match.group(2))
    return Equation(match.group(1), match.group(2), place, named=True) if isinstance(place, Bracketed) else None


def _ratio(text: str, inner: Read) -> Node | None:
    parts = split(text, ":|\\\\text ?\\{ ?(?:to|:) ?\\}|(?<![a-z])to(?![a-z])")
    if len(parts) < 2 or not all(parts):
        return None
    return Ratio(tuple(map(inner, parts)))


def _plus_minus(text: str, inner: Read) -> Node | None:
    if not re.search(r"\\(?:pm|mp)(?![a-zA-Z])", text):
        return None
    upper = re.sub(r"\\pm(?![a-zA-Z])", "+", re.sub(r"\\mp(?![a-zA-Z])", "-", text))
    lower = re.sub(r"\\pm(?![a-zA-Z])", "-", re.sub(r"\\mp(?![a-zA-Z])", "+", text))
    return Bag((inner(upper), inner(lower)))


def _quantity(text: str, inner: Read) -> Node | None:
    found = split_unit(text)
    if found is None:
        return None
    value, unit = found
    return Quantity(inner(value), unit) if unit else inner(value)


def _expression(text: str) -> Node:
    """Return a leaf, or a number if a little arithmetic gives one, without text marks and thousands separators."""
    text = _TEXT.sub(
        lambda m: m.group(1) if re.fullmatch(r" ?(?:[a-zA-Z]|[\d+\-*/^ ]{1,3}) ?", m.group(1)) else m.group(), text
    )
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    if len({"i", "j", "k"} & set(text)) > 1 and _VECTORS.fullmatch(text):
        text = re.sub("[ijk]", lambda m: rf"\hat{{{m.group()}}}", text)
    try:
        tree = parse(text)
        if symbols(tree):
            return Leaf(text)
        return Number(Arithmetic(arithmetic.FEW_BITS).value(tree))
    except arithmetic.Undefined:
        return Undefined()
    except (Unparsed, arithmetic.Inexact, arithmetic.TooLarge):
        return Leaf(text)


_READERS = (
    _number, _infinite, _measured, _time, _based, _compound, _choice, _every_real, _except, _words, _matrix, _system,
    _set, _bracketed, _point, _list, _membership, _union, _difference, equation, bounds, _plus_minus, _quantity, _ratio,
)  # fmt: skip
