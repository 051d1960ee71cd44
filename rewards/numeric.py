"""Values of expressions to as many digits as their sizes ask for. Loaded in grading workers alone: see `guard.py`."""

from __future__ import annotations

from fractions import Fraction

import mpmath
from mpmath import mp, mpc, mpf

from rewards.arithmetic import Arithmetic, Inexact, TooLarge, Undefined
from rewards.expression import TRIGONOMETRIC, Num, Tree
from rewards.values import Values

DIGITS = 50  # to which two values must agree, beyond what follows from the sizes of the numbers in them
_SPARE = 30  # digits that roundings may cost
_MOST_DIGITS = 20_000

Value = Fraction | mpf | mpc


class NumericValues(Values):
    """Compares trees exactly where both are rational, else to DIGITS digits."""

    def same(self, a: Tree, b: Tree) -> bool | None:
        try:
            (x, y), numbers = _evaluated((a, b))
        except Inexact:
            return None
        if isinstance(x, Fraction) and isinstance(y, Fraction):
            return x == y
        with mp.workdps(numbers.digits):
            return bool(abs(_number(x) - _number(y)) < numbers.zero)

    def within(self, tree: Tree, value: Fraction, slack: Fraction) -> bool | None:
        try:
            (found, _, _), numbers = _evaluated((tree, Num(value), Num(slack)))
        except (Inexact, Undefined, TooLarge):
            return False
        with mp.workdps(numbers.digits):
            return bool(abs(_number(found) - _number(value)) < _number(slack))


def _evaluated(trees: tuple[Tree, ...]) -> tuple[list[Value], Numeric]:
    """The values of trees, to as many digits as the largest and the smallest number met in them ask for.

    Raises:
        Undefined: one has no finite value.
        TooLarge: one cannot be held.
        Inexact: one has an operation that has no value here.
    """
    digits, found = DIGITS + _SPARE, None
    for _ in range(3):
        with mp.workdps(digits):
            numbers = Numeric(digits)
            try:
                found = [numbers.value(tree) for tree in trees]
            except Undefined:  # or a small number that so few digits do not show
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
    """Goes on with mpmath's numbers where a value is not rational, and notes how large and small numbers get."""

    def __init__(self, digits: int) -> None:
        super().__init__()
        self.digits, self.most, self.least = digits, 0, 0

    def bounded(self, value: Fraction) -> Fraction:
        self.note(super().bounded(value))
        return value

    def inexact(self, name: str, values: tuple) -> Value:
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
            except (ZeroDivisionError, ValueError) as error:  # mpmath's words for a pole
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
        """A sum or a sine that is smaller than this is zero with rounding errors."""
        return mpf(10) ** self.finest

    @property
    def finest(self) -> int:
        r"""The exponent of what is not told from zero.

        Large numbers may come very close to one another: (1 + \sqrt{2})^{200}, of 76 digits, is 10^{-76} away from a
        whole number. So the size of the largest number counts twice.
        """
        return self.least - DIGITS - 2 * self.most

    def note(self, value: Value) -> None:
        if not value:
            return
        exponent = _exponent(value)
        self.most, self.least = max(self.most, exponent), min(self.least, exponent)


def _exponent(value: Value) -> int:
    """The decimal exponent, about."""
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
        on.note(mpmath.exp(-2 * abs(argument)))  # by so little \tanh may miss 1
        return function(_not_zero(on, argument) if name == "coth" else argument)

    return value


def _absolute(on: Numeric, number: mpf | mpc) -> mpf:
    return abs(number)


def _rounded(function):
    """Down or up to a whole number, where a value next to one is that one."""

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
# These make small numbers of no large ones: a result that is small is no rounding error.
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
