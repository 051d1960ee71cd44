"""Symbolic equality, by math-verify's parser and comparison. Loaded in grading workers alone: see `guard.py`."""

from __future__ import annotations

import logging
import re
from functools import lru_cache

from latex2sympy2_extended import latex2sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig
from math_verify import verify
from sympy import Basic, I, MatrixBase, Number, Rational, Symbol, nan, oo, zoo

from rewards import exact

logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that nobody watches the clock; the guard does
_CONVERSION = ConversionConfig(lowercase_symbols=False)
_IMAGINARY = re.compile(r"(?<![a-zA-Z\\])i(?![a-zA-Z])|(?<=\d)i(?![a-zA-Z])")
_DECIMAL = re.compile(r"(\d*)\.(\d+)")
_DIGITS = 40  # of a numerical comparison
_CLOSE = Rational(1, 10**25)
# Where functions are compared: (denominator, whether signs alternate). Primes above them keep values from cancelling.
_GRID = ((17, False), (-11, True), (3, False))
_PRIMES = (13, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61)


class Unparsed(Exception):
    """The text has no symbolic form."""


class SymbolicGrader:
    """Equality of LaTeX expressions. `unparsed` collects which of "answer" and "gold" was not understood."""

    def __init__(self) -> None:
        self.unparsed: set[str] = set()

    def equal(self, answer: str, gold: str) -> bool | None:
        left, right = self._parse(answer, "answer"), self._parse(gold, "gold")
        if left is None or right is None:
            return _squeezed(answer) == _squeezed(gold)
        for text, other in ((answer, right), (gold, left)):
            number = exact.read_number(text)
            if number is not None and number.long_decimal:
                return _approximates(number, other)
        return expressions_equal(left, right)

    def same_equation(self, answer: tuple[str, str], gold: tuple[str, str]) -> bool | None:
        sides = [self._parse(t, "answer") for t in answer] + [self._parse(t, "gold") for t in gold]
        if None in sides or any(isinstance(side, MatrixBase) or side.is_Relational for side in sides):
            return [_squeezed(t) for t in answer] == [_squeezed(t) for t in gold]
        a, b = sides[0] - sides[1], sides[2] - sides[3]
        values = [(_value(a, p), _value(b, p)) for p in _points(a.free_symbols | b.free_symbols)]
        if any(x is None or y is None or y == 0 for x, y in values):
            return False
        ratios = [x / y for x, y in values]
        return ratios[0] != 0 and all(_close(r, ratios[0]) for r in ratios)

    def _parse(self, latex: str, whose: str) -> Basic | MatrixBase | None:
        try:
            return parse(latex)
        except Unparsed:
            self.unparsed.add(whose)
            return None


def _squeezed(text: str) -> str:
    return re.sub(r"[\s{}]", "", text)


@lru_cache(maxsize=512)
def parse(latex: str) -> Basic | MatrixBase:
    """The expression that `latex` writes, decimals as exact fractions.

    Raises:
        Unparsed: it writes none.
    """
    fractions = _DECIMAL.sub(lambda m: f"\\frac{{{int(m.group(1) + m.group(2))}}}{{{10 ** len(m.group(2))}}}", latex)
    imaginary = _IMAGINARY.search(latex)
    try:
        found = latex2sympy(
            fractions, is_real=None if imaginary else True, normalization_config=None, conversion_config=_CONVERSION
        )
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # the parser raises bare Exception, and what its own defects raise
        raise Unparsed(latex[:80]) from error
    if not isinstance(found, (Basic, MatrixBase)):
        raise Unparsed(latex[:80])
    return found.subs({Symbol("i"): I, Symbol("i", real=True): I}) if imaginary else found


def expressions_equal(left: Basic | MatrixBase, right: Basic | MatrixBase) -> bool:
    """Equality as functions: by value at fixed points to 25 digits; math-verify decides where there are no values."""
    if left == right:
        return True
    if not isinstance(left, MatrixBase) and not isinstance(right, MatrixBase):
        values = [(_value(left, p), _value(right, p)) for p in _points(left.free_symbols | right.free_symbols)]
        if all(x is not None and y is not None for x, y in values):
            return all(_close(x, y) for x, y in values)
    return bool(verify(right, left, timeout_seconds=None))


def _points(symbols: set[Symbol]) -> list[dict[Symbol, Rational]]:
    """Three points, the same for the same symbols; a constant needs one."""
    if not symbols:
        return [{}]
    names = sorted(symbols, key=str)
    tops = [_PRIMES[k % len(_PRIMES)] for k in range(len(names))]
    return [
        {
            n: Rational(-top if alternating and k % 2 else top, bottom)
            for k, (n, top) in enumerate(zip(names, tops, strict=True))
        }
        for bottom, alternating in _GRID
    ]


def _value(expression: Basic, point: dict[Symbol, Rational]):
    """The expression's finite value at a point, to 40 digits; None where it has none."""
    try:
        value = expression.subs(point).doit().evalf(_DIGITS)
    except (MemoryError, RecursionError):
        raise
    except Exception:  # sympy raises anything on expressions that have no value
        return None
    if not isinstance(value, Basic) or not value.is_number or value.has(nan, zoo, oo):
        return None
    return value if all(isinstance(part, Number) for part in value.as_real_imag()) else None


def _close(x, y) -> bool:
    return bool(abs(x - y) <= _CLOSE * max(abs(x), abs(y)))


def _approximates(decimal: exact.Number, expression: Basic) -> bool:
    """Whether a long decimal rounds or cuts the expression's value."""
    value = None if expression.free_symbols else _value(expression, {})
    return value is not None and bool(abs(value - Rational(decimal.value)) < Rational(decimal.slack))
