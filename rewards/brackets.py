"""Brackets in LaTeX: find where they close, and split a text outside of them."""

from __future__ import annotations

import re

_LAYERS = 12
_BRACKET = re.compile(r"\\begin(?![a-z])|\\end(?![a-z])|\\langle|\\rangle|\\[{}]|[()\[\]{}]")
_OPENING = ("(", "[", "{", "\\{", "\\langle", "\\begin")


def without_outer_parentheses(text: str) -> str:
    """Return `text` without braces or parentheses around all of it, unless they make a tuple or a choice letter."""
    for _ in range(_LAYERS):
        ends = text[:1] + text[-1:]
        if ends not in ("()", "{}") or closing_bracket(text, 0) != len(text) - 1 or text.endswith("\\}"):
            return text
        inner = text[1:-1].strip()
        if not inner or (ends == "()" and (len(split(inner, ",")) > 1 or re.fullmatch("[A-J]", inner))):
            return text
        text = inner
    return text


def closing_bracket(text: str, start: int) -> int | None:
    """Return the place where the bracket that opens at `start` closes, or None. Brackets of any kind nest."""
    depth = 0
    for i, kind in _brackets(text, start):
        depth += kind
        if depth == 0:
            return i
    return None


def _brackets(text: str, start: int = 0):
    """Yield (position, +1 or -1) for every bracket from `start` on."""
    for match in _BRACKET.finditer(text, start):
        yield match.start(), 1 if match.group() in _OPENING else -1


def split(text: str, separator: str) -> list[str]:
    """Split `text` at each match of `separator` (a regular expression) that stands outside of all brackets."""
    levels, depth = [], 0
    for at, kind in _brackets(text):
        levels.append((at, depth))
        depth += kind
        levels.append((at + 1, depth))
    parts, begin, k, level = [], 0, 0, 0
    for match in re.finditer(separator, text):
        while k < len(levels) and levels[k][0] <= match.start():
            level = levels[k][1]
            k += 1
        if level == 0:
            parts.append(text[begin : match.start()])
            begin = match.end()
    return [p.strip() for p in [*parts, text[begin:]]]
