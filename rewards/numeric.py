"""Numerical values of expressions, with as many digits as the sizes of the numbers require.

Only grading workers import this module, because mpmath is slow to load and an answer may take long: see `guard.py`.
"""

from __future__ import annotations

from fractions import Fraction

import mpmath
from mpmath import mp, mpc, mpf

from rewards.arithmetic import Arithmetic, Inexact, TooLarge, Undefined
from rewards.expression import TRIGONOMETRIC, Num, Tree
from rewards.values import Values

DIGITS = 50  # two values must agree to so many digits, beyond those that the sizes of the numbers in them require
_SPARE = 30  # further digits, which rounding errors may use up
_MOST_DIGITS = 20_000

Value = Fraction | mpf | mpc


class NumericValues(Values):
    """Compares trees exactly if both are rational, else to DIGITS digits."""

    def same(self, a: Tree, b: Tree) -> bool | None:
        """Return whether two trees without variables have the same value; None if an operation has no rule here.

        Raises:
            Undefined: one has no finite value.
            TooLarge: one needs too many digits.
        """
        try:
            (x, y), numbers = _evaluated((a, b))
        except Inexact:
            return None
        if isinstance(x, Fraction) and isinstance(y, Fraction):
            return x == y
        with mp.workdps(numbers.digits):
            return bool(abs(_number(x) - _number(y)) < numbers.zero)

    def within(self, tree: Tree, value: Fraction, slack: Fraction) -> bool | None:
        """Return whether a tree without variables is less than `slack` away from `value`; False if it has no value."""
        try:
            (found, _, _), numbers = _evaluated((tree, Num(value), Num(slack)))
        except (Inexact, Undefined, TooLarge):
            return False
        with mp.workdps(numbers.digits):
            return bool(abs(_number(found) - _number(value)) < _number(slack))


def _evaluated(trees: tuple[Tree, ...]) -> tuple[list[Value], Numeric]:
    """Return the values of trees, with as many digits as the largest and the smallest number in them require.

    Raises:
        Undefined: one has no finite value.
        TooLarge: one cannot be held.
        Inexact: one has an operation that has no rule here.
    """
    digits, found = DIGITS + _SPARE, None
    for _ in range(3):
        with mp.workdps(digits):
            numbers = Numeric(digits)
            try:
                found = [numbers.value(tree) for tree in trees]
            except Undefined:  # perhaps only a number too small for this many digits: try again with more
                found = None
        needed = _SPARE + numbers.most - numbers.finest
        if needed <= digits or (found and all(isinstance(value, Fraction) for value in found)):
            if found is None:
                raise Undefined("no finite value")
            return found, numbers
        digits = needed
        if digits > _MOST_DIGITS:
            break
    raise TooLarge(f"{digits} digits")


class Numeric(Arithmetic):
    """Evaluates with mpmath where a value is not rational, and records how large and small the numbers get."""

    def __init__(self, digits: int) -> None:
        super().__init__()
        self.digits, self.most, self.least = digits, 0, 0

    def bounded(self, value: Fraction) -> Fraction:
        """Return `value` after recording its size; raise TooLarge above the bound."""
        self.note(super().bounded(value))
        return value

    def inexact(self, name: str, values: tuple) -> Value:
        """Return the value of the operation `name`, computed by mpmath.

        Raises:
            Inexact: there is no rule for the operation.
            Undefined: there is no finite value.
        """
        function = _FUNCTIONS.get(name)
        if function is None:
            raise Inexact(name)
        for value in values:
            self.note(value)
        if name in _OF_FRACTIONS:
            found = function(self, *values)
        else:
            try:
                found = function(self, *map(_number, values))
            except (ZeroDivisionError, ValueError) as error:  # mpmath raises these at a pole
                raise Undefined(name) from error
        if isinstance(found, mpc) and abs(found.imag) < self.zero:
            found = found.real
        if not mpmath.isfinite(found):
            raise Undefined(name)
        if name in _EXACT_AS_THEIR_ARGUMENTS:
            self.note(found)
            return found
        return mpf(0) if abs(found) < self.zero else found

    @property
    def zero(self) -> mpf:
        """The threshold of zero: a sum or a sine below it is zero with rounding errors."""
        return mpf(10) ** self.finest

    @property
    def finest(self) -> int:
        r"""The decimal exponent below which a number cannot be told from zero.

        Large numbers may come very close to one another: (1 + \sqrt{2})^{200}, of 76 digits, is 10^{-76} away from a
        whole number. So the size of the largest number counts twice.
        """
        return self.least - DIGITS - 2 * self.most

    def note(self, value: Value) -> None:
        """Record the size of `value`."""
        if not value:
            return
        exponent = _exponent(value)
        self.most, self.least = max(self.most, exponent), min(self.least, exponent)


def _exponent(value: Value) -> int:
    """Return the decimal exponent of `value`, approximately."""
    if isinstance(value, Fraction):
        return int((value.numerator.bit_length() - value.denominator.bit_length()) * 0.30103)
    return int(mpmath.mag(value) * 0.30103) if abs(mpmath.mag(value)) < 10**9 else int(mpmath.mag(value))


def _number(value: Value) -> mpf | mpc:
    return mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else value


def _not_zero(on: Numeric, value: mpf | mpc) -> mpf | mpc:
    if abs(value) < on.zero:
        raise Undefined("zero")
    return value


def _power(on: Numeric, base: Value, exponent: Value) -> mpf | mpc:
    number, power = _number(base), _number(exponent)
    if isinstance(exponent, Fraction) and isinstance(number, mpf) and number < 0 and exponent.denominator % 2:
        size = mpmath.power(-number, power)  # the real root of a negative number
        return -size if exponent.numerator % 2 else size
    if isinstance(exponent, Fraction) and exponent.denominator == 1 and exponent > 0:
        return number ** int(exponent)
    if not number:
        if isinstance(exponent, Fraction) and exponent > 0:
            return mpf(0)
        raise Undefined("a power of zero")
    size = abs(power) * (1 + abs(mpmath.log(abs(number))))
    if size > 10**6:
        raise TooLarge("a power")
    return mpmath.power(number, power)


def _root(on: Numeric, radicand: Value, index: Value) -> mpf | mpc:
    if not isinstance(index, Fraction) or index == 0:
        raise Undefined("a root without index")
    return _power(on, radicand, 1 / index)


def _logarithm(on: Numeric, number: mpf | mpc, base: mpf | mpc | None = None) -> mpf | mpc:
    found = mpmath.log(_not_zero(on, number))
    return found if base is None else found / _not_zero(on, mpmath.log(_not_zero(on, base)))


def _trigonometric(name: str):
    divisor = {"tan": mpmath.cos, "sec": mpmath.cos, "cot": mpmath.sin, "csc": mpmath.sin}.get(name)
    function = getattr(mpmath, name)

    def value(on: Numeric, argument: mpf | mpc) -> mpf | mpc:
        if divisor is not None:
            _not_zero(on, divisor(argument))
        return function(argument)

    return value


def _inverse(name: str):
    function = getattr(mpmath, "a" + name)

    def value(on: Numeric, argument: mpf | mpc) -> mpf | mpc:
        return function(_not_zero(on, argument) if name in ("cot", "sec", "csc") else argument)

    return value


def _hyperbolic(name: str):
    function = getattr(mpmath, name)

    def value(on: Numeric, argument: mpf | mpc) -> mpf | mpc:
        if abs(argument) > 10**6:
            raise TooLarge(name)
        on.note(mpmath.exp(-2 * abs(argument)))  # the distance of \tanh from 1
        return function(_not_zero(on, argument) if name == "coth" else argument)

    return value


def _absolute(on: Numeric, number: mpf | mpc) -> mpf:
    return abs(number)


def _rounded(function):
    """Return a function that rounds down or up, and takes a value within rounding errors of a whole number as that
    number.
    """

    def value(on: Numeric, number: mpf | mpc) -> mpf:
        if isinstance(number, mpc):
            raise Undefined("rounding a complex number")
        nearest = mpmath.nint(number)
        return nearest if abs(number - nearest) < on.zero else function(number)

    return value


def _extreme(choose):
    def value(on: Numeric, *numbers: mpf | mpc) -> mpf:
        if any(isinstance(n, mpc) for n in numbers):
            raise Undefined("an order of complex numbers")
        return choose(numbers)

    return value


def _gamma(on: Numeric, number: mpf | mpc) -> mpf | mpc:
    if abs(number) > 10**5:
        raise TooLarge("a factorial")
    return mpmath.factorial(number)


_OF_FRACTIONS = {"pow", "root"}
# These operations never cancel large numbers, so a small result is not a rounding error.
_EXACT_AS_THEIR_ARGUMENTS = {
    "pi",
    "e",
    "i",
    "mul",
    "div",
    "neg",
    "pow",
    "root",
    "abs",
    "factorial",
    "binomial",
    "degrees",
}
_FUNCTIONS = {
    "pi": lambda on: +mpmath.pi,
    "e": lambda on: +mpmath.e,
    "i": lambda on: mpc(0, 1),
    "add": lambda on, *terms: sum(terms[1:], terms[0]),
    "mul": lambda on, *factors: mpmath.fprod(factors),
    "div": lambda on, a, b: a / _not_zero(on, b),
    "neg": lambda on, a: -a,
    "pow": _power,
    "root": _root,
    "abs": _absolute,
    "floor": _rounded(mpmath.floor),
    "ceil": _rounded(mpmath.ceil),
    "factorial": _gamma,
    "binomial": lambda on, n, k: _gamma(on, n) / (_gamma(on, k) * _gamma(on, n - k)),
    "max": _extreme(max),
    "min": _extreme(min),
    "degrees": lambda on, angle: angle * mpmath.pi / 180,
    "ln": _logarithm,
    "log": _logarithm,
    **{name: _trigonometric(name) for name in TRIGONOMETRIC},
    **{"arc" + name: _inverse(name) for name in TRIGONOMETRIC},
    **{name: _hyperbolic(name) for name in ("sinh", "cosh", "tanh", "coth")},
}
