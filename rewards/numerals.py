"""Numbers in words: `twenty-five`, `six million`, `a dozen`."""

from __future__ import annotations

import re

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = {word: value for value, word in enumerate(_ONES.split())}
_SMALL |= {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}
SCALES = {
    "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "quadrillion": 10**15,
    "dozen": 12,
}  # fmt: skip
NUMBER_WORDS = {*_SMALL, *SCALES}


def split_numeral(text: str) -> tuple[int, str] | None:
    """Return (number, the remaining words) of a text that begins with a number in words; None if it does not."""
    words = re.split(r"[\s-]+", text.strip().lower())
    if words[0] in ("a", "an") and words[1:2] and words[1] in SCALES:
        words[0] = "one"
    total, group, count = 0, 0, 0
    for word in words:
        if word in _SMALL:
            after_tens = group % 100 >= 20 and group % 10 == 0 and 0 < _SMALL[word] < 10
            if group % 100 and not after_tens:
                return None  # `two three` is not a number
            group += _SMALL[word]
        elif word in ("hundred", "dozen") and group:
            group *= SCALES[word]
        elif word in SCALES and group:
            total, group = total + group * SCALES[word], 0
        elif word == "and" and group >= 100 and words[count + 1 : count + 2] and words[count + 1] in _SMALL:
            pass
        else:
            break
        count += 1
    return (total + group, " ".join(words[count:])) if count else None
