"""Extract the final answer of a response and compare it with the gold answer."""

from __future__ import annotations

import re
from fractions import Fraction

_BOXED = "\\boxed{"
_INTEGER_OR_RATIO = re.compile(r"[+-]?\d{1,50}(?:\.\d{1,50})?(?:/\d{1,50})?")


def extract_answer(text: str) -> str | None:
    """The content of the last closed `\\boxed{…}`, nested braces included; None where there is none."""
    end = len(text)
    while (start := text.rfind(_BOXED, 0, end)) >= 0:
        depth, begin = 1, start + len(_BOXED)
        for i in range(begin, len(text)):
            depth += {"{": 1, "}": -1}.get(text[i], 0)
            if depth == 0:
                return text[begin:i].strip()
        end = start
    return None


def answers_equal(answer: str | None, gold: str) -> bool:
    """Whether `answer` states the same number as `gold`, or the same text up to spaces and dollar signs."""
    if answer is None or not answer:
        return False
    left, right = _normalise(answer), _normalise(gold)
    if left == right:
        return True
    a, b = _as_number(left), _as_number(right)
    return a is not None and a == b


def _normalise(text: str) -> str:
    return re.sub(r"[\s$]+|\\!|\\,|\\ ", "", text)


def _as_number(text: str) -> Fraction | None:
    text = text.replace("−", "-")
    if not _INTEGER_OR_RATIO.fullmatch(text):
        return None
    number, _, divisor = text.partition("/")
    if divisor and int(divisor) == 0:
        return None
    return Fraction(number) / int(divisor or 1)
