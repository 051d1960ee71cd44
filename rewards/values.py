"""Equality of expressions by their values. Constants have one value; functions are compared at fixed points."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache

from rewards.arithmetic import FEW_BITS, Arithmetic, Inexact, TooLarge, Undefined
from rewards.expression import Call, Num, Sym, Tree, operations, symbols

# Denominators of the points where functions are compared: odd, so that odd roots and powers of -1 have real values.
_DENOMINATORS = (17, 19, 23)
_MORE_DENOMINATORS = (1, 7, 29, 3, 31, 11, 37, 41, 43, 47, 53, 59)
_PIECEWISE = {"floor", "ceil", "abs", "max", "min", "gcd", "lcm"}  # and powers of -1
_FEWEST = 2  # both functions must have values at so many points at least
_ZERO = Num(Fraction(0))


class Values:
    """Compares trees by exact arithmetic on numbers so small that it is fast; None if that cannot tell."""

    def same(self, a: Tree, b: Tree) -> bool | None:
        """Return whether two trees without variables have the same value; None if this class cannot tell.

        Raises:
            Undefined: one has no finite value.
            TooLarge: one cannot be held. Only subclasses raise it; here the result is None.
        """
        found = [self._exactly(tree) for tree in (a, b)]
        return None if None in found else found[0] == found[1]

    def within(self, tree: Tree, value: Fraction, slack: Fraction) -> bool | None:
        """Return whether a tree without variables is less than `slack` away from `value`; None if this class cannot
        tell.
        """
        found = self._exactly(tree)
        return None if found is None else abs(found - value) < slack

    def _exactly(self, tree: Tree) -> Fraction | None:
        try:
            return Arithmetic(FEW_BITS).value(tree)
        except (Inexact, TooLarge):
            return None

    def equal(self, a: Tree, b: Tree) -> bool | None:
        """Return whether two expressions are equal, as numbers or as functions of their variables; None if unknown."""
        names = symbols(a) | symbols(b)
        if not names:
            return self._same_constant(a, b)
        verdicts = []
        for point in _points(names, _in_pieces(a) or _in_pieces(b)):
            try:
                verdicts.append(self.same(substituted(a, point), substituted(b, point)))
            except Undefined:
                continue
            if verdicts[-1] is False:
                return False
        return False if len(verdicts) < _FEWEST else None if None in verdicts else True

    def _same_constant(self, a: Tree, b: Tree) -> bool | None:
        try:
            return self.same(a, b)
        except Undefined:
            return False
        except TooLarge:
            if a == b:
                return True
            raise

    def proportional(self, a: Tree, b: Tree, positive: bool = False) -> bool | None:
        """Return whether one function is the other times a constant other than 0 (above 0 if `positive`); None if
        unknown.
        """
        names = symbols(a) | symbols(b)
        if not names:
            return False
        verdicts, first = [], None
        for point in _points(names, _in_pieces(a) or _in_pieces(b)):
            x, y = substituted(a, point), substituted(b, point)
            try:
                checks = [_negated(self.same(x, _ZERO)), _negated(self.same(y, _ZERO))]
                if positive:
                    product = Call("mul", (x, y))
                    checks.append(self.same(product, Call("abs", (product,))))
                if first is not None:
                    checks.append(self.same(Call("mul", (x, first[1])), Call("mul", (y, first[0]))))
            except Undefined:
                continue
            first = first or (x, y)
            verdicts += checks
            if False in checks:
                return False
        return False if len(verdicts) < 2 * _FEWEST else None if None in verdicts else True


@lru_cache(maxsize=1024)
def _in_pieces(tree: Tree) -> bool:
    """Return True if a function may follow different rules at different places."""
    if not isinstance(tree, Call):
        return False
    powers = tree.name == "pow" and symbols(tree.args[1]) and "neg" in operations(tree.args[0])
    return bool(powers) or tree.name in _PIECEWISE or any(map(_in_pieces, tree.args))


def _negated(verdict: bool | None) -> bool | None:
    return None if verdict is None else not verdict


def _points(names: frozenset[str], piecewise: bool) -> Iterator[dict[str, Fraction]]:
    """Yield the points at which functions are compared: the same for the same names, in no simple relation to one
    another.

    All coordinates are positive at the first point; each is negative at one of the next two. Piecewise functions need
    more points.
    """
    for number, denominator in enumerate(_DENOMINATORS + (_MORE_DENOMINATORS if piecewise else ())):
        yield {name: _coordinate(name, number, denominator) for name in names}


def _coordinate(name: str, number: int, denominator: int) -> Fraction:
    drawn = hashlib.blake2b(f"{name} {number}".encode(), digest_size=4).digest()
    top = 2 + int.from_bytes(drawn, "big") % (211 if number < len(_DENOMINATORS) else 4001)
    parity = hashlib.blake2b(name.encode(), digest_size=1).digest()[0] % 2
    return Fraction(-top if number > 0 and (number + parity) % 2 else top, denominator)


@lru_cache(maxsize=1024)
def _substituted(tree: Tree, point: tuple[tuple[str, Fraction], ...]) -> Tree:
    if isinstance(tree, Sym):
        return next((Num(value) for name, value in point if name == tree.name), tree)
    if isinstance(tree, Num) or not tree.args:
        return tree
    if tree.name in ("sum", "prod"):
        bound, start, end, terms = tree.args
        inner = tuple(pair for pair in point if pair[0] != bound.name)
        return Call(
            tree.name, (bound, _substituted(start, point), _substituted(end, point), _substituted(terms, inner))
        )
    return Call(tree.name, tuple(_substituted(arg, point) for arg in tree.args))


def substituted(tree: Tree, point: Mapping[str, Fraction]) -> Tree:
    """Return the tree with numbers for its variables."""
    return _substituted(tree, tuple(sorted(point.items())))
