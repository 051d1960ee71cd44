"""Read lists of answers: values, alternatives, conditions that hold together, names with their values."""

from __future__ import annotations

import re

from rewards.brackets import split
from rewards.exact import Number
from rewards.intervals import REALS, both_hold, joined, listed
from rewards.nodes import Assignment, Bag, Bounds, Equation, Leaf, Node, Without
from rewards.relations import Read, is_function

BY_OR = re.compile(r"\\text ?\{ ?,? ?(?:or|OR) ?,? ?\}|(?<![a-zA-Z\\])(?:or|OR)(?![a-zA-Z])|\\(?:lor|vee)(?![a-zA-Z])")
BY_AND = re.compile(
    r"\\text ?\{ ?,? ?(?:and|AND) ?,? ?\}|(?<![a-zA-Z\\])and(?![a-zA-Z])|\\(?:land|wedge)(?![a-zA-Z])|\\&|(?<!\\)&"
)


def listing(text: str, read: Read) -> Node | None:
    """Read items separated by "or", "and", commas or semicolons; return None if there is only one item."""
    alternatives = [p for p in (p.strip(" ,;") for p in split(text, BY_OR.pattern)) if p]
    if len(alternatives) < 2:
        groups = [p for p in split(text, ";") if p]
        if len(groups) > 1 and all(isinstance(read(g), Assignment) for g in groups):
            alternatives = groups
    if len(alternatives) > 1:
        return _any_of([read(p) for p in alternatives])
    return conjunction(text, read)


def _any_of(items: list[Node]) -> Node:
    if all(isinstance(i, Bounds) for i in items) and len({i.variable for i in items}) == 1:
        return Bounds(items[0].variable, joined([i.solutions for i in items]))
    return _values(items)


def conjunction(text: str, read: Read) -> Node | None:
    """Read items separated by "and", commas or semicolons; return None if there is only one item."""
    by_and = [p for p in (p.strip(" ,;") for p in split(text, BY_AND.pattern)) if p]
    parts = [p for piece in by_and for p in split(piece, "[,;]") if p]
    if len(parts) < 2 and not text.rstrip().endswith(","):
        return None
    items = [read(p) for p in parts]
    if len(items) > 1 and isinstance(items[0], Bounds) and _is_all_but_some(items[0].solutions):
        items = _more_holes(items)
    if all(isinstance(i, Bounds) for i in items) and len({i.variable for i in items}) == 1 < len(items):
        if len(by_and) == len(parts):
            together = both_hold([i.solutions for i in items])
            if together == Bag(()):
                return Bag(tuple(items))  # no number satisfies both: compare such statements part by part
            if together is not None:
                return Bounds(items[0].variable, together, joined=True)
        return listed(items)
    return _values(items)


def _is_all_but_some(solutions: Node) -> bool:
    """Return True if a set is all real numbers except some points."""
    return isinstance(solutions, Without) and solutions.interval == REALS


def _more_holes(items: list[Node]) -> list[Node]:
    r"""Read `x \ne 1, 2` as `x \ne 1, x \ne 2`."""
    variable = items[0].variable
    plain = (Leaf, Number)
    return [Bounds(variable, Without(REALS, (i,))) if isinstance(i, plain) else i for i in items]


def _values(items: list[Node]) -> Node:
    """Return a bag of the values. If all have one name, or each has its own, the names are kept."""
    pairs: list[tuple[str | None, Node]] = []
    for item in items:
        name = item.left if isinstance(item, Equation) and item.named and not is_function(item.left) else None
        value = item if name is None else item.value
        pairs += [(name, v) for v in (value.items if isinstance(value, Bag) else [value])]
    names = [re.sub(r"[ {}]", "", name) for name, _ in pairs if name is not None]
    values = tuple(value for _, value in pairs)
    if len(set(names)) == 1 and pairs[0][0] is not None:  # x = 1, x = 2  or  x = 1, 2
        return Equation(pairs[0][0], "", Bag(values), named=True)
    if len(set(names)) == len(pairs) > 1 and not _numbered(names):
        return Assignment(tuple(names), values, ordered=False)
    flat = [[item] if not isinstance(item, Bag) else item.items for item in items]
    return Bag(tuple(node for part in flat for node in part))


def _numbered(names: list[str]) -> bool:
    """Return True if the names are those of several values of one unknown: x_1, x_2."""
    return len({re.sub(r"_\d+$", "", name) for name in names}) == 1
