"""What an identity is made of beside the configuration: its version, and the numbers of the rules behind results.

A rule's number is part of the identity of every run that reads the rule, so that results made under different rules
are never taken for one another. Raise a number when the code behind it decides any case differently than before, and
add a line to its history.
"""

from __future__ import annotations

import hashlib
import json

# The shape of an identity. A change of it parts every run from its earlier results.
#   1: one identity of everything, evaluation included, without numbers of rules.
#   2: training and evaluation apart; weights by content; fields at their neutral value left out.
SCHEMA = 2
# grading: how an answer is found in a response, and when it equals a gold answer (rewards/).
#   1: the first rules.
#   2: rationals are compared exactly, other values to many digits; what is infinite or undefined equals nothing finite;
#      claims, relations, sets, bases, units and words of scale are read as what they say; the last box is found.
GRADING = 2
# splits: which problems a data set's rows become, and which of them are trained on or tested (sweep/data/).
#   1: the first rules.
#   2: equal questions count once and stand on one side; held_out is the share of both held-out sides together; the
#      members of each side follow from the questions alone.
SPLITS = 2
# labels: how the majority of a problem's responses becomes its label (rewards/vote.py, sweep/stages/label.py).
#   1: the first rules.
#   2: answers vote together where the grader of today finds them equal.
LABELS = 2


NUMBERS = {"grading": GRADING, "splits": SPLITS, "labels": LABELS}


def numbers(*, grading: bool = False, splits: bool = False, labels: bool = False) -> dict[str, int]:
    """The numbers of the rules that are read; {} where none is."""
    read = {"grading": grading, "splits": splits, "labels": labels}
    return {rule: NUMBERS[rule] for rule, is_read in read.items() if is_read}


def stale(identity: dict) -> str:
    """How the version of the code that made a run differs from this one, in words; "" where it does not.

    Identities of schema 1 carry no rules: what they were made under is not known.
    """
    parts = []
    if identity.get("schema") != SCHEMA:
        parts.append(f"identity schema {identity.get('schema')}, now {SCHEMA}")
    made = identity.get("rules", {})
    parts += [f"{rule} rules {made[rule]}, now {now}" for rule, now in NUMBERS.items() if made.get(rule, now) != now]
    return "; ".join(parts)


def signature(identity: dict) -> str:
    """Twelve hex digits, independent of the order in which keys were typed."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def differences(first: dict, second: dict) -> list[str]:
    """The dotted keys whose values differ between two identities, with both values."""
    one, other = flat(first), flat(second)
    keys = [k for k in one | other if one.get(k) != other.get(k)]
    return [f"{key} {one.get(key)} and {other.get(key)}" for key in sorted(keys)]


def flat(identity: dict, prefix: str = "") -> dict[str, object]:
    """The values of an identity by their dotted keys."""
    found = {}
    for key, value in identity.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found
