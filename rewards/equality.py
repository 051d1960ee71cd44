"""Whether two answers are the same, in three values: True, False, or None where only the symbolic grader can tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Protocol

from rewards import nodes
from rewards.exact import Number
from rewards.latex import canonical
from rewards.structure import read


class Symbolic(Protocol):
    """What compares LaTeX expressions; each answer may be None for "cannot tell"."""

    def equal(self, answer: str, gold: str) -> bool | None:
        """Whether two expressions are equal."""

    def same_equation(self, answer: tuple[str, str], gold: tuple[str, str]) -> bool | None:
        """Whether two equations (left, right) have the same solutions up to a constant factor."""


class Undecided:
    """Stands in where no symbolic grader is at hand."""

    def equal(self, answer: str, gold: str) -> bool | None:
        return None

    def same_equation(self, answer: tuple[str, str], gold: tuple[str, str]) -> bool | None:
        return None


def answers_equal(answer: str, gold: str, symbolic: Symbolic) -> bool | None:
    """Whether `answer` says the same as `gold`. The rules are those of docs/rewards.md."""
    left, right = canonical(answer), canonical(gold)
    if not left or not right:
        return False
    if _packed(left) == _packed(right):
        return True
    return _Comparison(symbolic).same(read(left), read(right))


def _packed(text: str) -> str:
    """`text` without the spaces that LaTeX ignores; those between digits or words stay."""
    return re.sub(r"(?<![0-9A-Za-z]) | (?![0-9A-Za-z])", "", text)


def both(values: Iterable[bool | None]) -> bool | None:
    """Three-valued `all`: False if any is False, else None if any is None."""
    found = list(values)
    return False if False in found else None if None in found else True


def either(values: Iterable[bool | None]) -> bool | None:
    """Three-valued `any`."""
    found = list(values)
    return True if True in found else None if None in found else False


class _Comparison:
    def __init__(self, symbolic: Symbolic) -> None:
        self.symbolic = symbolic

    def same(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        """Whether answer `a` is gold `b`."""
        if a == b:
            return True
        for node_type, rule in (
            (nodes.Choice, self._choices),
            (nodes.Equation, self._equations),
            (nodes.Bounds, self._bounds),
            (nodes.Quantity, self._quantities),
            (nodes.Union, self._unions),
            (nodes.Bag, self._bags),
            (nodes.Matrix, self._matrices),
            (nodes.Bracketed, self._bracketed),
            (nodes.Ratio, self._ratios),
        ):
            if isinstance(a, node_type) or isinstance(b, node_type):
                return rule(a, b)
        if isinstance(a, nodes.Based) or isinstance(b, nodes.Based):
            return False  # equal ones are equal as they stand; 52_8 is not 52, nor 42
        if isinstance(a, nodes.Words) or isinstance(b, nodes.Words):
            return _word(a) == _word(b)
        if isinstance(a, Number) and isinstance(b, Number):
            return a.equals(b)
        return self.symbolic.equal(latex_of(a), latex_of(b))

    def _choices(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        """`(C) 15` is both C and 15."""
        if isinstance(a, nodes.Choice) and isinstance(b, nodes.Choice):
            return a.letter == b.letter
        choice, other = (a, b) if isinstance(a, nodes.Choice) else (b, a)
        if isinstance(other, nodes.Words) and re.fullmatch("[A-J]", other.text):
            return choice.letter == other.text
        if isinstance(other, nodes.Leaf) and re.fullmatch("[A-J]", other.latex):
            return choice.letter == other.latex
        return self.same(choice.content, other)

    def _equations(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        if isinstance(a, nodes.Equation) and isinstance(b, nodes.Equation):
            if re.sub(r"[ {}]", "", a.left) == re.sub(r"[ {}]", "", b.left):
                return self.same(a.value, b.value)
            if all(isinstance(e.value, (nodes.Bracketed, nodes.Bag, nodes.Matrix, nodes.Words)) for e in (a, b)):
                return False
            return self.symbolic.same_equation((a.left, a.right), (b.left, b.right))
        equation, other = (a, b) if isinstance(a, nodes.Equation) else (b, a)
        if not equation.named:
            return False
        return self.same(equation.value, other) if equation is a else self.same(other, equation.value)

    def _bounds(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        if isinstance(a, nodes.Bounds) and isinstance(b, nodes.Bounds) and a.variable != b.variable:
            return False
        return self.same(*(n.solutions if isinstance(n, nodes.Bounds) else n for n in (a, b)))

    def _quantities(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        """Units are compared where both are given; a percent sign or degrees may also be read as a factor."""
        x, x_unit = (a.value, a.unit) if isinstance(a, nodes.Quantity) else (a, "")
        y, y_unit = (b.value, b.unit) if isinstance(b, nodes.Quantity) else (b, "")
        if x_unit and y_unit and x_unit != y_unit and {x_unit, y_unit} != {"degree", "radian"}:
            return False
        plain = False if {x_unit, y_unit} == {"degree", "radian"} else self.same(x, y)
        if x_unit == y_unit or plain:
            return plain
        if "%" in (x_unit, y_unit):
            return either([plain, self.same(_scaled(x, x_unit), _scaled(y, y_unit))])
        if "degree" in (x_unit, y_unit) and r"\pi" in latex_of(x) + latex_of(y):
            return either([plain, self.symbolic.equal(_radians(x, x_unit), _radians(y, y_unit))])
        return plain

    def _unions(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        return self._matching(*(n.parts if isinstance(n, nodes.Union) else (n,) for n in (a, b)))

    def _bags(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        if isinstance(a, nodes.Bracketed) or isinstance(b, nodes.Bracketed):
            return False
        return self._matching(*(n.items if isinstance(n, nodes.Bag) else (n,) for n in (a, b)))

    def _matching(self, left: Sequence[nodes.Node], right: Sequence[nodes.Node]) -> bool | None:
        """Whether the two can be paired off; each is paired with the first that fits."""
        if len(left) != len(right):
            return False
        rest, unsure = list(right), False
        for item in left:
            verdicts = [self.same(item, other) for other in rest]
            if True in verdicts:
                rest.pop(verdicts.index(True))
            elif None in verdicts:
                unsure = True
            else:
                return False
        return None if unsure else True

    def _matrices(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        if isinstance(a, nodes.Matrix) and isinstance(b, nodes.Matrix):
            if [len(r) for r in a.rows] != [len(r) for r in b.rows]:
                return False
            return both(self.same(x, y) for x, y in zip(_flat(a), _flat(b), strict=True))
        matrix, other = (a, b) if isinstance(a, nodes.Matrix) else (b, a)
        if (
            not isinstance(other, nodes.Bracketed)
            or other.opening != "("
            or 1 not in (len(matrix.rows), len(matrix.rows[0]))
        ):
            return False
        pair = (_flat(matrix), other.items) if matrix is a else (other.items, _flat(matrix))
        return self._in_order(*pair)

    def _bracketed(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        if not isinstance(a, nodes.Bracketed) or not isinstance(b, nodes.Bracketed):
            return False
        if (a.opening, a.closing) != (b.opening, b.closing):
            return False
        return self._in_order(a.items, b.items)

    def _in_order(self, left: Sequence[nodes.Node], right: Sequence[nodes.Node]) -> bool | None:
        return len(left) == len(right) and both(self.same(x, y) for x, y in zip(left, right, strict=True))

    def _ratios(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        """`2:1` is `4:2` and 2/1; with minutes in it (`10:05`), it is a time and equals only itself."""
        if isinstance(a, nodes.Ratio) and isinstance(b, nodes.Ratio):
            if len(a.parts) != len(b.parts):
                return False
            crossed = zip(a.parts[1:], b.parts[1:], strict=True)
            return both(self._same_product(a.parts[0], y, b.parts[0], x) for x, y in crossed)
        ratio, other = (a, b) if isinstance(a, nodes.Ratio) else (b, a)
        if len(ratio.parts) != 2 or isinstance(other, nodes.Words):
            return False
        return self._same_product(ratio.parts[0], Number(Fraction(1)), other, ratio.parts[1])

    def _same_product(self, a: nodes.Node, b: nodes.Node, c: nodes.Node, d: nodes.Node) -> bool | None:
        """Whether a·b = c·d."""
        if all(isinstance(n, Number) for n in (a, b, c, d)):
            return a.value * b.value == c.value * d.value and (a.value, b.value) != (0, 0)
        return self.symbolic.equal(*(f"({latex_of(x)})\\cdot ({latex_of(y)})" for x, y in ((a, b), (c, d))))


def _flat(matrix: nodes.Matrix) -> tuple[nodes.Node, ...]:
    return tuple(cell for row in matrix.rows for cell in row)


def _scaled(node: nodes.Node, unit: str) -> nodes.Node:
    """A percentage as the number it is."""
    if unit != "%":
        return node
    if isinstance(node, Number):
        return Number(node.value / 100)
    return nodes.Leaf(f"({latex_of(node)})/100")


def _radians(node: nodes.Node, unit: str) -> str:
    return f"({latex_of(node)})\\cdot \\pi/180" if unit == "degree" else latex_of(node)


def _word(node: nodes.Node) -> str:
    """A text answer without case, articles and punctuation; a lone letter keeps its case, being a choice or a name."""
    text = node.text if isinstance(node, nodes.Words) else latex_of(node)
    words = re.sub(r"[^\w\s]|_", " ", text).split()
    if len(words) == 1 and len(words[0]) == 1:
        return words[0]
    return " ".join(w.lower() for w in words if w.lower() not in ("a", "an", "the"))


def latex_of(node: nodes.Node) -> str:
    """An expression's LaTeX for the symbolic grader; numbers exactly, long decimals as they are written."""
    if isinstance(node, Number) and node.long_decimal:
        return node.decimal
    if isinstance(node, Number):
        top, bottom = node.value.numerator, node.value.denominator
        return str(top) if bottom == 1 else f"\\frac{{{top}}}{{{bottom}}}"
    if isinstance(node, nodes.Leaf):
        return node.latex
    if isinstance(node, nodes.Words):
        return node.text
    return ""
