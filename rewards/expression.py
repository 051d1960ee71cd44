"""Expressions as trees: numbers, variables, and operations by name."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

TRIGONOMETRIC = ("sin", "cos", "tan", "cot", "sec", "csc")


@dataclass(frozen=True)
class Num:
    """A rational number."""

    value: Fraction


@dataclass(frozen=True)
class Sym:
    """A variable, with its subscript and accents."""

    name: str


@dataclass(frozen=True)
class Call:
    """An operation or a function, named by `name`, with its arguments."""

    name: str
    args: tuple[Tree, ...]


Tree = Num | Sym | Call
CIRCLE, EULER, IMAGINARY = Call("pi", ()), Call("e", ()), Call("i", ())


@lru_cache(maxsize=1024)
def symbols(tree: Tree) -> frozenset[str]:
    """Return the names of the free variables of a tree."""
    if isinstance(tree, Sym):
        return frozenset((tree.name,))
    if isinstance(tree, Num):
        return frozenset()
    found = frozenset().union(*map(symbols, tree.args))
    return found - {tree.args[0].name} if tree.name in ("sum", "prod") else found


@lru_cache(maxsize=1024)
def operations(tree: Tree) -> frozenset[str]:
    """Return the names of all operations in a tree."""
    if not isinstance(tree, Call):
        return frozenset()
    return frozenset((tree.name,)).union(*map(operations, tree.args))
