"""Decide whether two answers are the same. The result is True, False, or None if only a grading worker can tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import TypeVar

from rewards import nodes
from rewards.exact import Number
from rewards.expression import Call, Num, Sym, Tree, operations, symbols
from rewards.intervals import INFINITY, MINUS_INFINITY, is_interval
from rewards.latex import canonical
from rewards.parsing import Unparsed, parse
from rewards.relations import parameter_of, with_parameter_of
from rewards.structure import read
from rewards.values import Values

T = TypeVar("T")


def answers_equal(answer: str, gold: str, values: Values) -> bool | None:
    """Return whether `answer` equals `gold` by the rules of docs/rewards.md; None if `values` cannot tell."""
    return Comparison(values).answers(answer, gold)


def _packed(text: str) -> str:
    """Return `text` without the spaces that LaTeX ignores.

    Spaces between digits, between words and between two numbers of a list stay.
    """
    text = re.sub(r"(?<=\d), (?=\d{3}(?!\d))", ",;", text)  # 123, 456 is not 123,456
    return re.sub(r"(?<![0-9A-Za-z]) | (?![0-9A-Za-z])|(?<=[0-9]) (?=[A-Za-z])", "", text)


def both(values: Iterable[bool | None]) -> bool | None:
    """Return the three-valued `all`: False if any is False, else None if any is None, else True."""
    found = list(values)
    return False if False in found else None if None in found else True


def either(values: Iterable[bool | None]) -> bool | None:
    """Return the three-valued `any`: True if any is True, else None if any is None, else False."""
    found = list(values)
    return True if True in found else None if None in found else False


def paired(left: Sequence[T], right: Sequence[T], same: Callable[[T, T], bool | None]) -> bool | None:
    """Return whether the items can be paired off, in three values. Each item of `left` takes the first that fits."""
    if len(left) != len(right):
        return False
    rest, unsure = list(right), False
    for item in left:
        verdicts = [same(item, other) for other in rest]
        if True in verdicts:
            rest.pop(verdicts.index(True))
        elif None in verdicts:
            unsure = True
        else:
            return False
    return None if unsure else True


class Comparison:
    """Compares answers. `unparsed` collects which of "answer" and "gold" holds LaTeX that is not an expression."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.unparsed: set[str] = set()

    def answers(self, answer: str, gold: str) -> bool | None:
        """Return whether the texts `answer` and `gold` say the same; None if `values` cannot tell."""
        left, right = canonical(answer), canonical(gold)
        if not left or not right:
            return False
        if _packed(left) == _packed(right):
            return not isinstance(read(left), nodes.Undefined)
        return self.same(read(left), read(right))

    def same(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        """Return whether the parsed answer `a` equals the parsed gold answer `b`; None if `values` cannot tell."""
        if isinstance(a, nodes.Undefined) or isinstance(b, nodes.Undefined):
            return False
        if a == b:
            return True
        for node_type, rule in (
            (nodes.Claim, self._claims),
            (nodes.Choice, self._choices),
            (nodes.Assignment, self._assignments),
            (nodes.Equation, self._equations),
            (nodes.Bounds, self._bounds),
            (nodes.Relations, self._relations),
            (nodes.Quantity, self._quantities),
            (nodes.Union, self._unions),
            (nodes.Without, self._holes),
            (nodes.Bag, self._bags),
            (nodes.Matrix, self._matrices),
            (nodes.Bracketed, self._bracketed),
            (nodes.Ratio, self._ratios),
        ):
            if isinstance(a, node_type) or isinstance(b, node_type):
                return rule(a, b)
        if isinstance(a, nodes.Based) or isinstance(b, nodes.Based):
            return False  # equal ones returned above (a == b); 52_8 equals neither 52 nor 42
        if isinstance(a, nodes.Words) or isinstance(b, nodes.Words):
            return _word(a) == _word(b) != ""
        if isinstance(a, Number) and isinstance(b, Number):
            return a.equals(b)
        if any(n in (INFINITY, MINUS_INFINITY) for n in (a, b)):
            return False  # an infinite value equals itself only, which was found above
        return self._expressions(a, b)

    def _expressions(self, a: nodes.Leaf | Number, b: nodes.Leaf | Number) -> bool | None:
        left, right = self._tree(a, "answer"), self._tree(b, "gold")
        if left is None or right is None:
            return isinstance(a, nodes.Leaf) and isinstance(b, nodes.Leaf) and _packed(a.latex) == _packed(b.latex)
        for number, other in ((a, right), (b, left)):
            if isinstance(number, Number) and number.long_decimal:
                return not symbols(other) and self.values.within(other, number.value, number.slack)
        return self.values.equal(left, right)

    def _tree(self, node: nodes.Node, whose: str) -> Tree | None:
        try:
            return Num(node.value) if isinstance(node, Number) else parse(node.latex)
        except Unparsed:
            self.unparsed.add(whose)
            return None

    def _claims(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        """Compare the last values of chains of equations; a chain that states something false equals nothing."""
        claims = [n for n in (a, b) if isinstance(n, nodes.Claim)]
        held = [self.same(x, y) for claim in claims for x, y in claim.equal if not _converted(x, y)]
        held += [self._rounds(exact, near) for claim in claims for exact, near in claim.near]
        return both([*held, self.same(*(n.value if isinstance(n, nodes.Claim) else n for n in (a, b)))])

    def _rounds(self, exact: nodes.Node, near: Number) -> bool | None:
        """Return whether a decimal is off by at most one in its last digit; a whole number by one half."""
        slack = Fraction(1, 10**near.decimals) if near.decimals else Fraction(51, 100)
        if isinstance(exact, nodes.Quantity):
            exact = exact.value
        if isinstance(exact, Number):
            return abs(exact.value - near.value) <= slack
        tree = self._tree(exact, "answer") if isinstance(exact, nodes.Leaf) else None
        return tree is not None and not symbols(tree) and self.values.within(tree, near.value, slack)

    def _choices(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        """Compare choices: `(C) 15` equals both C and 15."""
        if isinstance(a, nodes.Choice) and isinstance(b, nodes.Choice):
            return a.letter == b.letter and self.same(a.content, b.content)
        choice, other = (a, b) if isinstance(a, nodes.Choice) else (b, a)
        if isinstance(other, nodes.Words) and re.fullmatch("[A-J]", other.text):
            return choice.letter == other.text
        if isinstance(other, nodes.Leaf) and re.fullmatch("[A-J]", other.latex):
            return choice.letter == other.latex
        return self.same(choice.content, b) if choice is a else self.same(a, choice.content)

    def _assignments(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        """Compare names with values: by name, with a tuple in the order of the names, with a list as they stand."""
        if isinstance(a, nodes.Assignment) and isinstance(b, nodes.Assignment):
            if sorted(a.names) != sorted(b.names):
                return False
            found = dict(zip(a.names, a.values, strict=True))
            return both(self.same(found[name], value) for name, value in zip(b.names, b.values, strict=True))
        named, other = (a, b) if isinstance(a, nodes.Assignment) else (b, a)
        values = named.values
        if isinstance(other, nodes.Bracketed) and (other.opening, other.closing) == ("(", ")"):
            if not named.ordered:
                values = tuple(value for _, value in sorted(zip(named.names, values, strict=True), key=lambda p: p[0]))
            items = other.items
        elif isinstance(other, nodes.Bag) and len(other.items) != 1 and not named.ordered:
            items = other.items
        elif isinstance(other, nodes.Bag) and len(other.items) == 1:
            return self.same(named, other.items[0]) if named is a else self.same(other.items[0], named)
        elif isinstance(other, nodes.Matrix) and 1 in (len(other.rows), len(other.rows[0])):
            items = _flat(other)
        else:
            return False
        return self._in_order(values, items) if named is a else self._in_order(items, values)

    def _equations(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        if isinstance(a, nodes.Equation) and isinstance(b, nodes.Equation):
            if a.name == b.name:
                return self.same(a.value, b.value)
            if renamed := with_parameter_of(a, b):
                same_name = re.sub(r"[ {}]", "", renamed[0]) == b.name
                return same_name and self.same(read(renamed[1]), b.value)
            if all(isinstance(e.value, (nodes.Bracketed, nodes.Bag, nodes.Matrix, nodes.Words)) for e in (a, b)):
                return False
            return self._same_equation(a, b)
        equation, other = (a, b) if isinstance(a, nodes.Equation) else (b, a)
        if not equation.named:
            return False
        return self.same(equation.value, other) if equation is a else self.same(other, equation.value)

    def _same_equation(self, a: nodes.Equation, b: nodes.Equation) -> bool | None:
        differences = []
        for equation, whose in ((a, "answer"), (b, "gold")):
            if isinstance(equation.value, nodes.Claim):
                return False
            sides = [self._tree(nodes.Leaf(side), whose) for side in (equation.left, equation.right)]
            if None in sides:
                return (_packed(a.left), _packed(a.right)) == (_packed(b.left), _packed(b.right))
            differences.append(_difference(*sides))
        return self.values.proportional(*differences)

    def _bounds(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        if isinstance(a, nodes.Relations) or isinstance(b, nodes.Relations):
            sides = [nodes.Relations(n.relation) if isinstance(n, nodes.Bounds) and n.relation else n for n in (a, b)]
            return self._relations(*sides)
        if isinstance(a, nodes.Bounds) and isinstance(b, nodes.Bounds) and a.variable != b.variable:
            return self._relations(nodes.Relations(a.relation), nodes.Relations(b.relation)) if a.relation else False
        sides = [n.solutions if isinstance(n, nodes.Bounds) else n for n in (a, b)]
        # A bare (1, 3) may be a point, so two inequalities joined by "and" do not equal it.
        for bounds, other in ((a, b), (b, a)):
            bare = is_interval(other) and (other.opening, other.closing) == ("(", ")")
            point = bare and not {INFINITY, MINUS_INFINITY} & set(other.items)
            if point and isinstance(bounds, nodes.Bounds) and bounds.joined:
                return False
        return self.same(*sides)

    def _relations(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        """Compare inequalities: they are the same if the differences of their sides are, up to a positive factor."""
        if not isinstance(a, nodes.Relations) or not isinstance(b, nodes.Relations):
            return False
        return paired(a.parts, b.parts, self._same_relation)

    def _same_relation(self, a: tuple[str, bool, str], b: tuple[str, bool, str]) -> bool | None:
        if a[1] != b[1]:
            return False
        sides = [self._tree(nodes.Leaf(t), "answer") for t in a[::2]] + [
            self._tree(nodes.Leaf(t), "gold") for t in b[::2]
        ]
        if None in sides:
            return [_packed(t) for t in a[::2]] == [_packed(t) for t in b[::2]]
        return self.values.proportional(_difference(*sides[:2]), _difference(*sides[2:]), positive=True)

    def _quantities(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        """Compare units if both answers have one. A percent sign or degrees may also be read as a factor."""
        x, x_unit = (a.value, a.unit) if isinstance(a, nodes.Quantity) else (a, "")
        y, y_unit = (b.value, b.unit) if isinstance(b, nodes.Quantity) else (b, "")
        if {x_unit, y_unit} in ({"degree", "degree C"}, {"degree", "degree F"}):
            x_unit = y_unit  # a bare degree sign may be Celsius, Fahrenheit or an angle
        if x_unit and y_unit and x_unit != y_unit and {x_unit, y_unit} != {"degree", "radian"}:
            return False
        plain = False if {x_unit, y_unit} == {"degree", "radian"} else self.same(x, y)
        if x_unit == y_unit or plain:
            return plain
        if not all(isinstance(n, (Number, nodes.Leaf)) for n in (x, y)):
            return plain
        trees = [self._tree(n, whose) for n, whose in ((x, "answer"), (y, "gold"))]
        if None in trees:
            return plain
        if "%" in (x_unit, y_unit):
            return either([plain, self.values.equal(*map(_as_number, trees, (x_unit, y_unit)))])
        if "degree" in (x_unit, y_unit) and any(map(_in_radians, trees)):
            return either([plain, self.values.equal(*map(_as_number, trees, (x_unit, y_unit)))])
        return plain

    def _holes(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        if not isinstance(a, nodes.Without) or not isinstance(b, nodes.Without):
            return False
        return both([self.same(a.interval, b.interval), self._matching(a.holes, b.holes)])

    def _unions(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        return self._matching(*(n.parts if isinstance(n, nodes.Union) else (n,) for n in (a, b)))

    def _bags(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        for bag, other in ((a, b), (b, a)):
            if isinstance(other, nodes.Bracketed) and len(bag.items) != 1:
                return False
        if isinstance(a, nodes.Bag) and isinstance(b, nodes.Bag):
            counts = _parameters(a), _parameters(b)
            if 0 not in counts and counts[0] != counts[1]:
                return False  # in f(v) = 1, f(x) = 2x the functions have different variables
        return self._matching(*(n.items if isinstance(n, nodes.Bag) else (n,) for n in (a, b)))

    def _matching(self, left: Sequence[nodes.Node], right: Sequence[nodes.Node]) -> bool | None:
        return paired(left, right, self.same)

    def _matrices(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        if isinstance(a, nodes.Matrix) and isinstance(b, nodes.Matrix):
            if [len(r) for r in a.rows] != [len(r) for r in b.rows]:
                return False
            return both(self.same(x, y) for x, y in zip(_flat(a), _flat(b), strict=True))
        matrix, other = (a, b) if isinstance(a, nodes.Matrix) else (b, a)
        if isinstance(other, nodes.Leaf) and len(matrix.rows[0]) == 1:
            return self._unit_vectors(other, _flat(matrix))
        if (
            not isinstance(other, nodes.Bracketed)
            or other.opening != "("
            or 1 not in (len(matrix.rows), len(matrix.rows[0]))
        ):
            return False
        pair = (_flat(matrix), other.items) if matrix is a else (other.items, _flat(matrix))
        return self._in_order(*pair)

    def _bracketed(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        for vector, place in ((a, b), (b, a)):
            if isinstance(vector, nodes.Leaf) and (place.opening, place.closing) == ("(", ")"):
                return self._unit_vectors(vector, place.items)
        if not isinstance(a, nodes.Bracketed) or not isinstance(b, nodes.Bracketed):
            return False
        if (a.opening, a.closing) != (b.opening, b.closing):
            return False
        return self._in_order(a.items, b.items)

    def _unit_vectors(self, vector: nodes.Leaf, components: Sequence[nodes.Node]) -> bool | None:
        r"""Return whether a sum of multiples of \hat i, \hat j, \hat k has these components."""
        tree = self._tree(vector, "answer")
        units = [Sym(rf"\hat {letter}") for letter in "ijk"[: len(components)]]
        if tree is None or not symbols(tree) & {unit.name for unit in units} or len(components) not in (2, 3):
            return False
        if not all(isinstance(c, (Number, nodes.Leaf)) for c in components):
            return False
        factors = [self._tree(c, "gold") for c in components]
        terms = [Call("mul", pair) for pair in zip(factors, units, strict=True)]
        return None not in factors and self.values.equal(tree, Call("add", tuple(terms)))

    def _in_order(self, left: Sequence[nodes.Node], right: Sequence[nodes.Node]) -> bool | None:
        return len(left) == len(right) and both(self.same(x, y) for x, y in zip(left, right, strict=True))

    def _ratios(self, a: nodes.Node, b: nodes.Node) -> bool | None:
        """Compare ratios: `2:1` equals `4:2` and 2/1. With minutes in it (`10:05`), it is a time and equals only
        itself.
        """
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
        """Return whether a·b = c·d."""
        if all(isinstance(n, Number) for n in (a, b, c, d)):
            return a.value * b.value == c.value * d.value and (a.value, b.value) != (0, 0)
        if not all(isinstance(n, (Number, nodes.Leaf)) for n in (a, b, c, d)):
            return False
        trees = [self._tree(n, "answer") for n in (a, b, c, d)]
        return None not in trees and self.values.equal(Call("mul", tuple(trees[:2])), Call("mul", tuple(trees[2:])))


def _converted(a: nodes.Node, b: nodes.Node) -> bool:
    """Return True if two quantities have different units and no conversion between them is known here."""
    if not isinstance(a, nodes.Quantity) or not isinstance(b, nodes.Quantity) or a.unit == b.unit:
        return False
    return not {a.unit, b.unit} & {"%", "degree", "radian"}


def _in_radians(tree: Tree) -> bool:
    return any(name == "pi" or name.startswith("arc") for name in operations(tree))


def _parameters(bag: nodes.Bag) -> int:
    """Return the number of different variables in the function definitions of a list."""
    parameters = [parameter_of(item) for item in bag.items if isinstance(item, nodes.Equation)]
    return len({parameter for parameter in parameters if parameter is not None})


def _difference(left: Tree, right: Tree) -> Tree:
    return Call("add", (left, Call("neg", (right,))))


def _as_number(tree: Tree, unit: str) -> Tree:
    """Return a percentage or an angle in degrees as the number it stands for."""
    if unit == "%":
        return Call("div", (tree, Num(Fraction(100))))
    return Call("degrees", (tree,)) if unit == "degree" else tree


def _flat(matrix: nodes.Matrix) -> tuple[nodes.Node, ...]:
    return tuple(cell for row in matrix.rows for cell in row)


def _word(node: nodes.Node) -> str:
    """Return a text answer without case, articles and punctuation, or "" if the node is not a word.

    A single letter keeps its case, because it is a choice or a name. Numbers and signed expressions are not words.
    """
    if isinstance(node, nodes.Words):
        text = node.text
    elif isinstance(node, nodes.Leaf) and re.fullmatch(r"[a-zA-Z ]+", node.latex):
        text = node.latex
    else:
        return ""
    words = re.sub(r"[^\w\s]|_", " ", text).split()
    if len(words) == 1 and len(words[0]) == 1:
        return words[0]
    return " ".join(w.lower() for w in words if w.lower() not in ("a", "an", "the"))
