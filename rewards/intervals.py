"""Sets of real numbers: intervals, unions of intervals, and intervals without single points (holes)."""

from __future__ import annotations

from collections.abc import Sequence

from rewards.exact import Number
from rewards.nodes import Bag, Bounds, Bracketed, Leaf, Node, Union, Without

INFINITY, MINUS_INFINITY = Leaf(r"\infty"), Leaf(r"-\infty")
REALS = Bracketed("(", (MINUS_INFINITY, INFINITY), ")")


def is_interval(node: Node) -> bool:
    """Return True if the node is a pair in brackets, which may be read as an interval."""
    return isinstance(node, Bracketed) and len(node.items) == 2


def bounded(relation: str, bound: Node) -> Node:
    """Return the set of numbers that are less than, greater than, or other than `bound`."""
    if relation == r"\ne":
        return Without(REALS, tuple(bound.items) if isinstance(bound, Bag) else (bound,))
    if relation in (">", r"\ge"):
        return Bracketed("(" if relation == ">" else "[", (bound, INFINITY), ")")
    return Bracketed("(", (MINUS_INFINITY, bound), ")" if relation == "<" else "]")


def joined(parts: Sequence[Node]) -> Node:
    """Return the union of sets. Intervals that meet at an end are merged, with a hole if neither contains that end."""
    rest = [part for p in parts for part in (p.parts if isinstance(p, Union) else (p,))]
    merged = True
    while merged:
        merged = False
        for first in rest:
            for second in rest:
                whole = None if first is second else _merged(first, second)
                if whole is not None:
                    rest = [whole, *(part for part in rest if part is not first and part is not second)]
                    merged = True
                    break
            if merged:
                break
    return rest[0] if len(rest) == 1 else Union(tuple(rest))


def _merged(left: Node, right: Node) -> Node | None:
    """Return the union of two intervals if the first ends where the second begins, else None."""
    (a, a_holes), (b, b_holes) = _taken_apart(left), _taken_apart(right)
    if a is None or b is None or a.items[1] != b.items[0]:
        return None
    hole = () if a.closing == "]" or b.opening == "[" else (a.items[1],)
    return _with_holes(Bracketed(a.opening, (a.items[0], b.items[1]), b.closing), (*a_holes, *hole, *b_holes))


def _taken_apart(node: Node) -> tuple[Bracketed | None, tuple[Node, ...]]:
    if isinstance(node, Without):
        return node.interval, node.holes
    return (node, ()) if is_interval(node) else (None, ())


def _with_holes(interval: Bracketed, holes: tuple[Node, ...]) -> Node:
    """Return an interval without some points. A point at an end opens that end; points outside are ignored."""
    low, high = interval.items
    opening, closing, inside = interval.opening, interval.closing, []
    for hole in dict.fromkeys(holes):
        if hole == low:
            opening = "("
        elif hole == high:
            closing = ")"
        elif not _outside(hole, low, high):
            inside.append(hole)
    interval = Bracketed(opening, (low, high), closing)
    return Without(interval, tuple(inside)) if inside else interval


def _outside(point: Node, low: Node, high: Node) -> bool:
    below = isinstance(point, Number) and isinstance(low, Number) and point.value < low.value
    return below or (isinstance(point, Number) and isinstance(high, Number) and point.value > high.value)


def without(whole: Node, removed: Node) -> Node | None:
    """Return a set without some points, or the real numbers without an interval; None for any other difference."""
    if isinstance(whole, Union):
        parts = [without(part, removed) for part in whole.parts]
        return None if None in parts else joined(parts)
    interval, holes = _taken_apart(whole)
    if interval is None:
        return None
    if isinstance(removed, Bag):
        return _with_holes(interval, (*holes, *removed.items))
    if whole == REALS and is_interval(removed):
        low, high = removed.items
        below = Bracketed("(", (MINUS_INFINITY, low), ")" if removed.opening == "[" else "]")
        above = Bracketed("(" if removed.closing == "]" else "[", (high, INFINITY), ")")
        return Union((below, above))
    return None


def both_hold(sets: Sequence[Node]) -> Node | None:
    """Return the intersection of intervals with holes; None if their ends cannot be ordered."""
    low, high, opening, closing = MINUS_INFINITY, INFINITY, "(", ")"
    holes: tuple[Node, ...] = ()
    for each in sets:
        interval, more = _taken_apart(each)
        if interval is None:
            return None
        holes += more
        begin, end = interval.items
        if (order := _order(begin, low, MINUS_INFINITY)) is None or (other := _order(high, end, INFINITY)) is None:
            return None
        if order > 0 or (order == 0 and interval.opening == "("):
            low, opening = begin, interval.opening
        if other > 0 or (other == 0 and interval.closing == ")"):
            high, closing = end, interval.closing
    if isinstance(low, Number) and isinstance(high, Number) and low.value >= high.value:
        touching = low.value == high.value and (opening, closing) == ("[", "]")
        return Bag((low,)) if touching else Bag(())
    return _with_holes(Bracketed(opening, (low, high), closing), holes)


def _order(a: Node, b: Node, infinite: Node) -> int | None:
    """Return 1, 0 or -1 as `a` is greater than, equal to or less than `b`; None if that is unknown.

    `infinite` is one of the two infinities; it is below or above every other bound.
    """
    if a == b:
        return 0
    if isinstance(a, Number) and isinstance(b, Number):
        return 1 if a.value > b.value else -1
    if infinite in (a, b):
        return 1 if (b if infinite == MINUS_INFINITY else a) == infinite else -1
    return None


def listed(bounds: Sequence[Bounds]) -> Bounds:
    """Return the meaning of inequalities that are separated by commas.

    `x < 1, x > 3` means "or" and `x > 1, x < 3` means "and", since a list of which one condition always holds says
    nothing.
    """
    variable, sets = bounds[0].variable, [b.solutions for b in bounds]
    together = both_hold(sets)
    either = joined(sets)
    rays = [s for s in sets if is_interval(s) and (MINUS_INFINITY in s.items or INFINITY in s.items)]
    if len(sets) == 2 == len(rays) and is_interval(together) and all(isinstance(i, Number) for i in together.items):
        return Bounds(variable, together, joined=True)
    if any(isinstance(s, Without) for s in sets) and together is not None:
        return Bounds(variable, together)
    return Bounds(variable, either)
