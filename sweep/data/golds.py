"""Gold answers: read them from a column, refuse unusable ones, and grade answers against several of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from decimal import Decimal

from rewards.exact import read_number
from rewards.extraction import last_boxed
from rewards.grading import Grade, Grader, Outcome, bad_gold
from rewards.latex import canonical
from sweep.config.data import After, GoldRule
from sweep.data.rows import json_type

MOST_WORDS = 15  # most words of prose in a final answer; the golds of DeepScaleR have three at most
# With several golds the best grade counts, in this order. A time-out is second: the answer might have been right.
_BEST = (Outcome.RIGHT, Outcome.TIMEOUT, Outcome.UNPARSED, Outcome.WRONG, Outcome.NONE)
_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")
_STATED = re.compile(r"\b(?:answer\s+is|answer)\s*:|\banswer\s+is\b", re.IGNORECASE)
_AROUND_A_BOX = re.compile(r"\\[\[\]()]|[\s$.,]")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_WORD = re.compile(r"[^\W\d_]{2,}")


class BadGold(ValueError):
    """There is no usable gold answer. `setting` is an override that may help, within the section of the columns."""

    def __init__(self, said: str, setting: str = "", when: str = "") -> None:
        super().__init__(said)
        self.setting, self.when = setting, when


def read_golds(value: object, rule: GoldRule) -> tuple[str, ...]:
    """Return the gold answers in a column's value. An answer is right if it equals any of them.

    Raises:
        BadGold: `rule` finds none, or one that no answer could ever equal.
    """
    if rule == "list":
        golds = tuple(_final_answer(_text(entry)) for entry in _entries(value, rule))
    elif rule == "parts":
        golds = (", ".join(_final_answer(_text(entry)) for entry in _entries(value, rule)),)
    elif rule == "number":
        golds = (_number(value),)
    elif rule == "text":
        golds = (_final_answer(_text(value)),)
    else:
        golds = (_found(value, rule),)
    for gold in golds:
        if not gold.strip():
            raise BadGold("the answer is empty")
        if bad_gold(gold):
            raise BadGold(f"the answer {_shown(gold)} is not equal to itself, so that no answer could be right")
        if "</" in gold or len(_WORD.findall(_COMMAND.sub("", gold))) > MOST_WORDS:
            said = f"the answer {_shown(gold)} looks like a worked solution"
            raise BadGold(said, "answer=NAME", "if another column holds the final answer")
    return golds


def _text(value: object) -> str:
    """Return a text or a number as text; raise BadGold for values that no answer could equal."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        raise BadGold("the answer is a list", "gold=list", "if any of its entries is right")
    if isinstance(value, dict) and value:
        raise BadGold(f"the answer is an object with {', '.join(value)}", f"answer=COLUMN.{next(iter(value))}")
    if isinstance(value, float | Decimal) and math.isfinite(value):
        return format(Decimal(str(value)), "f")
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadGold(f"the answer is {json_type(value)}")
    return str(value)


def _entries(value: object, rule: str) -> list:
    """Return the entries of a list, or of the JSON text of a list."""
    found = _json_list(value) if isinstance(value, str) else value
    if not isinstance(found, list) or not found:
        raise BadGold(f"the answer is {json_type(value)}, where gold={rule} expects a list with entries")
    return found


def _json_list(text: str) -> list | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _number(value: object) -> str:
    text = _text(value)
    if read_number(canonical(text)) is None:
        raise BadGold(f"the answer {_shown(text)} is not a number, which gold=number expects")
    return text.removesuffix(".0") if isinstance(value, float) else text


def _found(value: object, rule: GoldRule) -> str:
    """Return the answer at the end of a worked solution: its last box, or the text after the last marker."""
    if not isinstance(value, str):
        raise BadGold(f"the answer is {json_type(value)}, where a text was expected to find it in")
    if isinstance(rule, After):
        _, marker, gold = value.rpartition(rule.after)
        if not marker:
            raise BadGold(f"{rule.after!r} is not in the answer {_shown(value)}")
        return gold.strip()
    boxed = last_boxed(value)
    if boxed is None:
        raise BadGold(f"there is no \\boxed{{…}} in the answer {_shown(value)}")
    return boxed.strip()


def _final_answer(text: str) -> str:
    """Return the text, if it may be a final answer.

    Raises:
        BadGold: it looks like a worked solution or a list, which no final answer equals.
    """
    solution = f"the answer {_shown(text)} looks like a worked solution"
    if "####" in text:
        raise BadGold(solution, 'gold={after: "####"}', "if the answer follows ####")
    if _BOX.search(text) and _beside_the_box(text):
        raise BadGold(solution, "gold=boxed", "if the answer is what it boxes")
    if stated := _STATED.findall(text):
        raise BadGold(solution, f'gold={{after: "{stated[-1]}"}}', f"if the answer follows {stated[-1]!r}")
    if any(isinstance(entry, str) for entry in _json_list(text) or ()):
        raise BadGold(f"the answer {_shown(text)} is a list", "gold=list", "if any of its entries is right")
    return text


def _beside_the_box(text: str) -> str:
    """Return the text outside of its last box, without the marks around formulas."""
    box = re.escape(f"{{{last_boxed(text)}}}")
    return _AROUND_A_BOX.sub("", re.sub(_BOX.pattern + r"\s*" + box, "", text))


def _shown(text: str) -> str:
    """Quote a text in a message. Of a long text only the end is shown, because the answer is usually there."""
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else f"…{line[-60:]}")


def grade_any(grader: Grader, pairs: Sequence[tuple[str | None, Sequence[str]]]) -> list[Grade]:
    """Return the grade of each (answer, golds): right if the answer equals any of the golds."""
    grades = iter(grader.grade([(answer, gold) for answer, golds in pairs for gold in golds]))
    return [min((next(grades) for _ in golds), key=lambda grade: _BEST.index(grade.outcome)) for _, golds in pairs]
