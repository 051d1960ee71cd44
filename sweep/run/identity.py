"""The identity of a run apart from its configuration: a schema version, and the versions of the rules behind results.

A rule's version is part of the identity of every run that uses the rule, so that results made under different rules are
never mixed. Raise the number when the code decides any case differently than before, and add a line to its history.
"""

from __future__ import annotations

import hashlib
import json

# The structure of an identity. A change of this number separates every run from its earlier results.
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
    """Return the versions of the rules that a run uses."""
    read = {"grading": grading, "splits": splits, "labels": labels}
    return {rule: NUMBERS[rule] for rule, is_read in read.items() if is_read}


def stale(identity: dict) -> str:
    """Return how the version of the code that made a run differs from this one; "" if it does not.

    Identities of schema 1 have no rules: it is not known under which they were made.
    """
    parts = []
    if identity.get("schema") != SCHEMA:
        parts.append(f"identity schema {identity.get('schema')}, now {SCHEMA}")
    made = identity.get("rules", {})
    parts += [f"{rule} rules {made[rule]}, now {now}" for rule, now in NUMBERS.items() if made.get(rule, now) != now]
    return "; ".join(parts)


def signature(identity: dict) -> str:
    """Return twelve hex digits that do not depend on the order of the keys."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def answers_identity(evaluation: dict) -> dict:
    """Return what answers to a benchmark follow from, apart from the weights: its identity without the targets.

    More problems, or more answers to each, are added to the answers that are there.
    """
    targets = ("problems", "samples_per_problem")
    asked = {key: value for key, value in evaluation["evaluation"].items() if key not in targets}
    return evaluation | {"evaluation": asked}


def without_grading(identity: dict) -> dict:
    """Return the identity of an evaluation without what decides how its answers are graded."""
    rules = {name: number for name, number in identity.get("rules", {}).items() if name != "grading"}
    return {name: part for name, part in identity.items() if name != "grading"} | {"rules": rules}


def differences(first: dict, second: dict) -> list[str]:
    """Return the dotted keys whose values differ between two identities, with both values.

    An identity leaves out what is at its neutral value, such as `evaluation.seed` at 0.
    """
    one, other = flat(first), flat(second)
    keys = [k for k in one | other if one.get(k) != other.get(k)]
    absent = "the default"
    return [f"{key} {one.get(key, absent)} and {other.get(key, absent)}" for key in sorted(keys)]


def flat(identity: dict, prefix: str = "") -> dict[str, object]:
    """Return the values of an identity by dotted keys."""
    found: dict[str, object] = {}
    for key, value in identity.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found
