"""Lists of answers: values, alternatives, conditions that hold together, names with their values."""

from __future__ import annotations

import re

from rewards.brackets import split
from rewards.intervals import both_hold, joined, listed
from rewards.nodes import Assignment, Bag, Bounds, Equation, Node
from rewards.relations import Read, is_function

BY_OR = re.compile(r"\\text ?\{ ?,? ?or ?,? ?\}|(?<![a-zA-Z\\])or(?![a-zA-Z])|\\(?:lor|vee)(?![a-zA-Z])")
BY_AND = re.compile(
    r"\\text ?\{ ?,? ?and ?,? ?\}|(?<![a-zA-Z\\])and(?![a-zA-Z])|\\(?:land|wedge)(?![a-zA-Z])|\\&|(?<!\\)&"
)


def listing(text: str, read: Read) -> Node | None:
    """What "or", "and", commas and semicolons separate; None where nothing does."""
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
    """What "and", commas and semicolons separate; None where nothing does."""
    by_and = [p for p in (p.strip(" ,;") for p in split(text, BY_AND.pattern)) if p]
    parts = [p for piece in by_and for p in split(piece, "[,;]") if p]
    if len(parts) < 2 and not text.rstrip().endswith(","):
        return None
    items = [read(p) for p in parts]
    conditions = [i for i in items if isinstance(i, Bounds)]
    if len(conditions) == len(items) > 1 and len({i.variable for i in items}) == 1:
        if len(by_and) == len(parts):
            together = both_hold([i.solutions for i in items])
            if together is not None:
                return Bounds(items[0].variable, together, joined=True)
        return listed(items)
    return _values(items)


def _values(items: list[Node]) -> Node:
    """A bag of values; names that differ are kept with theirs."""
    flat: list[Node] = []
    for item in items:
        flat.extend(item.items if isinstance(item, Bag) else [item])
    named = [i for i in flat if isinstance(i, Equation) and i.named and not is_function(i.left)]
    names = [i.name for i in named]
    if len(set(names)) == 1 and names[0] == _first_name(flat):  # x = 1, x = 2  or  x = 1, 2
        flat = [i.value if i in named else i for i in flat]
    elif len(set(names)) == len(flat) > 1 and not _numbered(names):
        return Assignment(tuple(names), tuple(i.value for i in named), ordered=False)
    return Bag(tuple(flat))


def _first_name(items: list[Node]) -> str | None:
    first = items[0]
    return first.name if isinstance(first, Equation) else None


def _numbered(names: list[str]) -> bool:
    """Whether names are those of one unknown's several values: x_1, x_2."""
    return len({re.sub(r"_\d+$", "", name) for name in names}) == 1

