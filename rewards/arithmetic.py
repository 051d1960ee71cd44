"""Exact rational arithmetic on expression trees.

The size of every result is bounded before it is computed, so that no answer, however hostile, takes long.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from rewards.expression import Call, Num, Sym, Tree

MOST_BITS = 333_000  # 100,000 decimal digits
FEW_BITS = 4_000  # the bound for values that are computed in the main process, without a worker
_MOST_ROOT = 64
_MOST_TERMS, _FEW_TERMS = 1_000_000, 100  # of sums and products, with a worker and without


class Inexact(Exception):
    """The value is not rational, or this module cannot show that it is."""


class TooLarge(Exception):
    """The value needs more bits, or a sum more terms, than the bound allows."""


class Undefined(Exception):
    """The expression has no finite value, as 1/0."""


class Arithmetic:
    """Evaluates trees without free variables to fractions.

    A subclass may compute further values by overriding `inexact`, which is called where no exact rule applies.
    """

    def __init__(self, most_bits: int = MOST_BITS) -> None:
        self.most_bits = most_bits
        self._bound: dict[str, Fraction] = {}  # values of the variables of sums and products
        self._terms_left = _MOST_TERMS if most_bits > FEW_BITS else _FEW_TERMS

    def value(self, tree: Tree) -> Fraction:
        """Return the value of `tree` as a fraction.

        Raises:
            Inexact: the value is not known to be rational.
            TooLarge: the value, or one on the way to it, has more than `most_bits` bits.
            Undefined: there is no finite value.
        """
        if isinstance(tree, Num):
            return self.bounded(tree.value)
        if isinstance(tree, Sym):
            if tree.name not in self._bound:
                raise Inexact(tree.name)
            return self._bound[tree.name]
        if tree.name in ("sum", "prod"):
            return self._series(tree)
        if not tree.args:
            return self.inexact(tree.name, ())
        values = tuple(map(self.value, tree.args))
        if tree.name.startswith("value:"):
            return self._opaque(tree.name, values)
        rule = _RULES.get(tree.name)
        if rule is None or not all(isinstance(v, Fraction) for v in values):
            return self.inexact(tree.name, values)
        try:
            return rule(self, *values)
        except Inexact:
            return self.inexact(tree.name, values)

    def inexact(self, name: str, values: tuple) -> Fraction:
        """Return the value of the operation `name` where no exact rule applies; this class raises Inexact."""
        raise Inexact(name)

    def bounded(self, value: Fraction) -> Fraction:
        """Return `value`; raise TooLarge if it has more than `most_bits` bits."""
        self.allow(max(_bits(value)))
        return value

    def allow(self, bits: float) -> None:
        """Raise TooLarge if `bits`, the predicted size of a result, is above the bound."""
        if bits > self.most_bits:
            raise TooLarge(f"{bits:.0f} bits")

    def _series(self, tree: Call) -> Fraction:
        variable, start, end, terms = tree.args
        first, last = self.value(start), self.value(end)
        if not all(isinstance(v, Fraction) and v.denominator == 1 for v in (first, last)):
            raise Inexact(tree.name)
        outer = dict(self._bound)
        name, found = ("add", Fraction(0)) if tree.name == "sum" else ("mul", Fraction(1))
        for k in range(int(first), int(last) + 1):
            self._terms_left -= 1
            if self._terms_left < 0:
                raise TooLarge("terms")
            self._bound[variable.name] = Fraction(k)
            found = self._joined(name, found, self.value(terms))
        self._bound = outer
        return found

    def _joined(self, name: str, a: Fraction, b: Fraction) -> Fraction:
        """Return the sum or the product of two values."""
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return _RULES[name](self, a, b)
        return self.inexact(name, (a, b))

    def _opaque(self, name: str, values: tuple) -> Fraction:
        """Return a made-up value for a function that has a name and no definition, such as f in f(3).

        Different names or arguments give different values, so that f(3) equals f(3) and not f(4) or g(3).
        """
        (argument,) = values
        if not isinstance(argument, Fraction):
            raise Inexact(name)
        digits = sum(ord(c) * 31**k for k, c in enumerate(name)) % 10_007
        return (argument**2 * 3 + argument * 7 + digits) / (argument + digits + Fraction(1, 101))


def _bits(value: Fraction) -> tuple[int, int]:
    return value.numerator.bit_length(), value.denominator.bit_length()


def _add(on: Arithmetic, *terms: Fraction) -> Fraction:
    total = terms[0]
    for term in terms[1:]:
        (a, b), (c, d) = _bits(total), _bits(term)
        on.allow(max(a, c) + 1 if total.denominator == term.denominator else max(a + d, c + b, b + d))
        total += term
    return total


def _multiply(on: Arithmetic, *factors: Fraction) -> Fraction:
    product = factors[0]
    for factor in factors[1:]:
        (a, b), (c, d) = _bits(product), _bits(factor)
        on.allow(max(a + c, b + d) - 1)
        product *= factor
    return product


def _divide(on: Arithmetic, a: Fraction, b: Fraction) -> Fraction:
    if b == 0:
        raise Undefined("division by zero")
    return _multiply(on, a, 1 / b)


def _power(on: Arithmetic, base: Fraction, exponent: Fraction) -> Fraction:
    if base == 0:
        if exponent <= 0:
            raise Undefined("a power of zero")
        return base
    if base == 1:
        return base
    if exponent.denominator != 1:
        whole = _root(on, base, Fraction(exponent.denominator))
        return _power(on, whole, Fraction(exponent.numerator))
    power = exponent.numerator
    if base == -1:
        return base if power % 2 else -base
    # x^n has between n(b - 1) and nb bits where x has b.
    if abs(power) > 2 * on.most_bits:
        raise TooLarge("a power")
    on.allow(abs(power) * math.log2(max(abs(base.numerator), base.denominator)))
    return base**power


def _root(on: Arithmetic, radicand: Fraction, index: Fraction) -> Fraction:
    """Return the real root if it is rational, else raise Inexact. Odd roots of negative numbers are negative."""
    if index.denominator != 1 or not 1 <= index <= _MOST_ROOT:
        raise Inexact("root")
    degree = index.numerator
    if radicand < 0 and degree % 2 == 0:
        raise Inexact("root")
    sign = -1 if radicand < 0 else 1
    top, bottom = _whole_root(abs(radicand.numerator), degree), _whole_root(radicand.denominator, degree)
    if top is None or bottom is None:
        raise Inexact("root")
    return Fraction(sign * top, bottom)


def _whole_root(number: int, degree: int) -> int | None:
    """Return the whole number whose power `degree` is `number`, or None if there is none."""
    if degree == 1 or number < 2:
        return number
    if degree == 2:
        root = math.isqrt(number)
    else:
        root = 1 << -(-number.bit_length() // degree)  # above the root; Newton's steps descend to its floor
        while (lower := ((degree - 1) * root + number // root ** (degree - 1)) // degree) < root:
            root = lower
    return root if root**degree == number else None


def _factorial(on: Arithmetic, n: Fraction) -> Fraction:
    if n.denominator != 1:
        raise Inexact("factorial")
    if n < 0:
        raise Undefined("a factorial of a negative number")
    if n > on.most_bits:
        raise TooLarge("a factorial")
    on.allow(math.lgamma(int(n) + 1) / math.log(2))
    return Fraction(math.factorial(int(n)))


def _double_factorial(on: Arithmetic, n: Fraction) -> Fraction:
    if n.denominator != 1 or n < 0:
        raise Inexact("double factorial")
    if n > on.most_bits:
        raise TooLarge("a double factorial")
    on.allow(math.lgamma(int(n) + 1) / math.log(2))
    return Fraction(math.prod(range(int(n), 0, -2)))


def _binomial(on: Arithmetic, n: Fraction, k: Fraction) -> Fraction:
    if k.denominator != 1:
        raise Inexact("binomial")
    k = int(k)
    if k < 0:
        return Fraction(0)
    if n.denominator != 1 or n < 0:
        if k > 1000:
            raise TooLarge("a binomial")
        on.allow(k * (max(_bits(n)) + math.log2(k + 2)))
        return Fraction(math.prod((n - i for i in range(k)), start=Fraction(1)), math.factorial(k))
    n = int(n)
    if k > n:
        return Fraction(0)
    few = min(k, n - k)
    if few > on.most_bits:
        raise TooLarge("a binomial")
    on.allow(min(n, few * math.log2(max(n, 2)) - math.lgamma(few + 1) / math.log(2) + 1))
    return Fraction(math.comb(n, few))


def _whole(values: tuple[Fraction, ...]) -> list[int]:
    if any(v.denominator != 1 for v in values):
        raise Inexact("of whole numbers")
    return [int(v) for v in values]


_RULES: dict[str, Callable[..., Fraction]] = {
    "add": _add,
    "mul": _multiply,
    "div": _divide,
    "neg": lambda on, a: -a,
    "pow": _power,
    "root": _root,
    "abs": lambda on, a: abs(a),
    "floor": lambda on, a: Fraction(math.floor(a)),
    "ceil": lambda on, a: Fraction(math.ceil(a)),
    "factorial": _factorial,
    "double_factorial": _double_factorial,
    "binomial": _binomial,
    "max": lambda on, *values: max(values),
    "min": lambda on, *values: min(values),
    "gcd": lambda on, *values: Fraction(math.gcd(*_whole(values))),
    "lcm": lambda on, *values: Fraction(math.lcm(*_whole(values))),
}
