"""The kinds of answers, as the nodes of a tree. The leaves are exact numbers, words, or LaTeX."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rewards.exact import Number


@dataclass(frozen=True)
class Leaf:
    """LaTeX that is an expression, or that is compared as text."""

    latex: str


@dataclass(frozen=True)
class Words:
    """A text answer, such as a name, a choice letter, yes or no."""

    text: str


@dataclass(frozen=True)
class Choice:
    """A choice letter with the content it stands for: `(C) 15`."""

    letter: str
    content: Node


@dataclass(frozen=True)
class Quantity:
    """A value with a unit (`%` and `degree` among them)."""

    value: Node
    unit: str


@dataclass(frozen=True)
class Undefined:
    """An expression without a finite value, as 1/0. It equals nothing, not even itself."""


@dataclass(frozen=True)
class Based:
    """Digits in a base other than ten, as `52_8`, with their sign."""

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
class Without:
    """An interval with holes: single points inside it that do not belong to it."""

    interval: Bracketed
    holes: tuple[Node, ...]


@dataclass(frozen=True)
class Matrix:
    """A matrix, row by row."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True)
class Claim:
    r"""A value with the statements made on the way to it. It counts only if all of `equal` and `near` are true.

    `2 + 3 = 5` claims that 2 + 3 and 5 are equal, `22/7 \approx 3.14` that the second rounds the first.
    """

    value: Node
    equal: tuple[tuple[Node, Node], ...] = ()
    near: tuple[tuple[Node, Number], ...] = ()


@dataclass(frozen=True)
class Equation:
    """`left = right`. `named` says that the left side only names the right one (`x = 5`, `f(x) = x`, `A(1, 2)`)."""

    left: str
    right: str
    value: Node
    named: bool

    @property
    def name(self) -> str:
        """The left side without spaces and braces."""
        return re.sub(r"[ {}]", "", self.left)


@dataclass(frozen=True)
class Assignment:
    """Several names and their values. `ordered` is true for `(x, y) = (1, 2)` and false for `x = 1, y = 2`."""

    names: tuple[str, ...]
    values: tuple[Node, ...]
    ordered: bool


@dataclass(frozen=True)
class Bounds:
    """Inequalities in one variable, as the set of their solutions. `joined` says that "and" joins two of them.

    `relation` is the inequality as written, in the form of Relations, if there is a single one.
    """

    variable: str
    solutions: Node
    joined: bool = False
    relation: tuple[tuple[str, bool, str], ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Relations:
    """Inequalities between expressions, each as (lesser side, True if strictly less, greater side)."""

    parts: tuple[tuple[str, bool, str], ...]


Node = (
    Leaf | Words | Choice | Quantity | Undefined | Based | Ratio | Bracketed | Bag | Union | Without | Matrix | Claim
    | Equation | Assignment | Bounds | Relations | Number
)  # fmt: skip
