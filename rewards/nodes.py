"""What an answer can be; the leaves are exact numbers, words, or LaTeX that may be an expression."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rewards.exact import Number


@dataclass(frozen=True)
class Leaf:
    """LaTeX that is an expression, or is compared as it stands."""

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
class Undefined:
    """What has no finite value, as 1/0; it equals nothing, not even itself."""


@dataclass(frozen=True)
class Based:
    """Digits in a base, as `52_8`, with their sign."""

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
    """An interval with holes: single points of its inside that are not in it."""

    interval: Bracketed
    holes: tuple[Node, ...]


@dataclass(frozen=True)
class Matrix:
    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True)
class Claim:
    r"""A value with what is claimed on the way to it: it stands only if all of `equal` and `near` are true.

    `2 + 3 = 5` claims that 2 + 3 and 5 are equal, `22/7 \approx 3.14` that the second rounds the first.
    """

    value: Node
    equal: tuple[tuple[Node, Node], ...] = ()
    near: tuple[tuple[Node, Number], ...] = ()


@dataclass(frozen=True)
class Equation:
    """`left = right`; `named` where the left only names what the right is (`x = 5`, `f(x) = x`, `A(1, 2)`)."""

    left: str
    right: str
    value: Node
    named: bool

    @property
    def name(self) -> str:
        return re.sub(r"[ {}]", "", self.left)


@dataclass(frozen=True)
class Assignment:
    """Several names and their values: `x = 1, y = 2`, or, in an order of its own, `(x, y) = (1, 2)`."""

    names: tuple[str, ...]
    values: tuple[Node, ...]
    ordered: bool


@dataclass(frozen=True)
class Bounds:
    """Inequalities in one variable, as the set of its solutions; `joined` where "and" joins two of them.

    `relation`: the inequality as it is written, as in Relations, where it is a single one.
    """

    variable: str
    solutions: Node
    joined: bool = False
    relation: tuple[tuple[str, bool, str], ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Relations:
    """Inequalities between expressions, each as (the lesser side, whether it is less or may be equal, the greater)."""

    parts: tuple[tuple[str, bool, str], ...]


Node = (
    Leaf | Words | Choice | Quantity | Undefined | Based | Ratio | Bracketed | Bag | Union | Without | Matrix | Claim
    | Equation | Assignment | Bounds | Relations | Number
)  # fmt: skip
