"""Read plain numbers exactly: integers, decimals, fractions, mixed numbers, powers of ten, thousands separators."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MOST_DIGITS = 100_000  # limit for a whole number
_MOST_CHARACTERS = 1000  # limit for any other number
_FLOAT_DIGITS = 17  # a float is printed with at most so many digits
ENOUGH_DIGITS = 10  # a decimal with so many digits may stand for the number it rounds or cuts

_INTEGER = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)"
_PLAIN = re.compile(rf"({_INTEGER})?(?:\.(\d+))?\.?(?:e([+-]?\d{{1,3}}))?", re.IGNORECASE)
_RECURRING = re.compile(r"(\d*)\.(\d*)\\overline ?\{(\d+)\}")
_FRACTION = re.compile(r"\\frac\{([^{}]*)\}\{([^{}]*)\}")
_MIXED = re.compile(r"(\d+) ?(?:\\frac\{(\d+)\}\{(\d+)\})|(\d+) (\d+) ?/ ?(\d+)")
_SCIENTIFIC = re.compile(r"(.+?) ?\\cdot ?10 ?\^\{([+-]?\d{1,3})\}")


@dataclass(frozen=True)
class Number:
    """An exact value. If it was written as a plain decimal, `decimals` counts the digits after the point."""

    value: Fraction
    decimals: int | None = None

    @property
    def long_decimal(self) -> bool:
        """True if it has so many digits that it may stand for a number it only approximates."""
        if not self.decimals:
            return False
        return abs(self._scaled) >= 10 ** (ENOUGH_DIGITS - 1)

    @property
    def slack(self) -> Fraction:
        """The error that a long decimal may have: one in its last digit, or the last bits of the float it was printed
        from.
        """
        last = Fraction(1, 10**self.decimals)
        return max(last, abs(self.value) / 2**50) if abs(self._scaled) < 10**_FLOAT_DIGITS else last

    @property
    def _scaled(self) -> int:
        return int(self.value * 10**self.decimals)

    def equals(self, other: Number) -> bool:
        """Return whether the values are equal, or one is a long decimal that rounds or cuts the other."""
        if self.value == other.value:
            return True
        for near, exact in ((self, other), (other, self)):
            # Two decimals of different lengths are different numbers, unless one has enough digits.
            if near.long_decimal and not exact.long_decimal and exact.decimals is None:
                return abs(near.value - exact.value) < near.slack
        return False


def integer(digits: str) -> int:
    """Return the number that decimal digits write. Python's own `int` refuses more than 4,300 digits."""
    if len(digits) <= 4000:
        return int(digits)
    half = len(digits) // 2
    return integer(digits[:half]) * 10 ** (len(digits) - half) + integer(digits[half:])


def read_number(text: str) -> Number | None:
    """Return the number that the canonical `text` writes, or None if it is anything else."""
    text = text.strip()
    if len(text) > _MOST_CHARACTERS and not (len(text) <= MOST_DIGITS + 1 and text.lstrip("+-").isdecimal()):
        return None
    sign = 1
    while text[:1] in ("+", "-"):
        sign = -sign if text[0] == "-" else sign
        text = text[1:].strip()
        if text[:1] in ("+", "-"):
            return None
    found = _unsigned(text)
    return found and Number(sign * found.value, found.decimals)


def _unsigned(text: str) -> Number | None:
    if text[:1] + text[-1:] in ("()", "{}"):
        # (1,234) is a point or an interval: people do not put parentheses around a number with thousands separators.
        return None if text[0] == "(" and "," in text else read_number(text[1:-1])
    if match := _PLAIN.fullmatch(text):
        return _plain(match)
    if match := _RECURRING.fullmatch(text):
        whole, fixed, period = match.groups()
        repeated = Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(fixed))
        return Number(Fraction(int(whole + fixed or "0"), 10 ** len(fixed)) + repeated)
    if match := _MIXED.fullmatch(text):
        whole, top, bottom = (int(g) for g in match.groups() if g is not None)
        return Number(whole + Fraction(top, bottom)) if bottom and top < bottom else None
    if match := _FRACTION.fullmatch(text):
        return _ratio(*match.groups())
    if text.count("/") == 1:
        return _ratio(*text.split("/"))
    if match := _SCIENTIFIC.fullmatch(text):
        factor = _unsigned(match.group(1))
        return factor and Number(factor.value * Fraction(10) ** int(match.group(2)))
    if match := re.fullmatch(r"10 ?\^\{([+-]?\d{1,3})\}", text):
        return Number(Fraction(10) ** int(match.group(1)))
    return None


def _plain(match: re.Match) -> Number | None:
    whole, decimals, exponent = match.groups()
    if not whole and not decimals:
        return None
    whole = re.sub(r"[ ,]", "", whole or "0")
    value = Fraction(integer(whole + (decimals or "")), 10 ** len(decimals or ""))
    if exponent:
        return Number(value * Fraction(10) ** int(exponent))
    return Number(value, len(decimals) if decimals else None)


def _ratio(top: str, bottom: str) -> Number | None:
    a, b = read_number(top), read_number(bottom)
    if a is None or b is None or b.value == 0:
        return None
    return Number(a.value / b.value)
