"""What an answer can be; the leaves are exact numbers, words, or LaTeX for the symbolic grader."""

from __future__ import annotations

from dataclasses import dataclass

from rewards.exact import Number


@dataclass(frozen=True)
class Leaf:
    """LaTeX that only the symbolic grader understands."""

    latex: str


@dataclass(frozen=True)
class Words:
    """A text answer: a name, a choice letter, yes or no."""

    text: str


@dataclass(frozen=True)
class Choice:
    """A choice letter with what it stands for: `(C) 15`."""

    letter: str
    content: Node


@dataclass(frozen=True)
class Quantity:
    """A value with a unit (`%` and `degree` among them)."""

    value: Node
    unit: str


@dataclass(frozen=True)
class Based:
    """Digits in a base, as `52_8`."""

    digits: str
    base: int


@dataclass(frozen=True)
class Ratio:
    """`a:b` or `a:b:c`."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Bracketed:
    """A tuple, point, vector or interval, with its brackets."""

    opening: str
    items: tuple[Node, ...]
    closing: str


@dataclass(frozen=True)
class Bag:
    """Several answers whose order does not matter: a set, or a list without brackets."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Union:
    """A union of intervals and sets."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Matrix:
    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True)
class Equation:
    """`left = right`; `named` where the left only names what the right is (`x = 5`, `f(x) = x`)."""

    left: str
    right: str
    value: Node
    named: bool


@dataclass(frozen=True)
class Bounds:
    """An inequality in one variable, as the set of its solutions."""

    variable: str
    solutions: Node


Node = Leaf | Words | Choice | Quantity | Based | Ratio | Bracketed | Bag | Union | Matrix | Equation | Bounds | Number
