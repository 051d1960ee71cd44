"""Turn rows into problems: check each row, and find the rows that ask the same question."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rewards.equality import answers_equal
from rewards.values import Values
from sweep.config.data import Columns, scalar_text
from sweep.data.fields import LISTED, check_columns, find, has, keep_wanted, listed, read
from sweep.data.golds import BadGold, read_golds
from sweep.data.rows import Row, Rows, json_type
from sweep.errors import UserError


@dataclass(frozen=True)
class Problem:
    """A question with its gold answers, any of which is right. `label` is its majority label, if a reward needs one."""

    id: str
    question: str
    answers: tuple[str, ...]
    label: str | None = None

    @property
    def answer(self) -> str:
        """The first gold answer, for places that show a single text."""
        return self.answers[0]

    @property
    def gold(self) -> str | list[str]:
        """The gold answers as rows on disk show them: a text, or a list if there are several."""
        return self.answer if len(self.answers) == 1 else list(self.answers)


class Placed(NamedTuple):
    """A problem and its place in the source, such as "line 7"."""

    place: str
    problem: Problem


@dataclass(frozen=True)
class Account:
    """The counts of a source's rows: of `rows`, `problems` are left.

    `filtered` rows do not match the filter, `bad_golds` have no usable gold answer, `contradictory` rows ask the same
    as another row and answer differently, `repeated` rows ask and answer the same as an earlier row.
    """

    source: str
    rows: int
    filtered: int
    bad_golds: int
    contradictory: int
    repeated: int
    problems: int


def shortened(text: str, most: int = 60) -> str:
    """Return a text in quotes as a message shows it: in one line, and with its end cut off if it is long."""
    line = " ".join(text.split())
    return repr(line if len(line) <= most else f"{line[:most]}…")


def question_key(question: str) -> str:
    """Return the text by which questions are compared: two questions are the same if only white space differs."""
    return " ".join(question.split())


def read_problems(
    source: Rows, how: Columns, on_bad_gold: str, on_repeat: str = "drop"
) -> tuple[list[Problem], Account]:
    """Return the different problems of a source, in the order of its rows, and the counts.

    Args:
        on_bad_gold, on_repeat: "drop" leaves out rows without a usable gold answer, and rows that repeat an earlier
            one; another word refuses them.
    Raises:
        UserError: a row holds no question or lacks a column; or, unless such rows are dropped, a row has no usable gold
            answer, contradicts another row, or repeats one.
    """
    check_columns(source, how)
    rows = list(enumerate(source.rows, source.first))
    wanted = keep_wanted(source, rows, how)
    placed, bad = _with_golds(source, wanted, how)
    if bad and (on_bad_gold == "error" or not placed):
        raise _refused(source, how, bad, len(wanted))
    if on_repeat != "drop":
        _refuse_repeats(source, placed)
    distinct, contradictory = _distinct(source, placed, on_bad_gold)
    repeated = len(placed) - contradictory - len(distinct)
    counts = len(rows), len(rows) - len(wanted), len(bad), contradictory, repeated, len(distinct)
    return distinct, Account(source.name, *counts)


def _with_golds(source: Rows, rows: Sequence[tuple[int, Row]], how: Columns) -> tuple[list[Placed], list]:
    """Return the rows' problems, and the places and faults of rows without a usable gold answer."""
    placed, bad, taken = [], [], set()
    column = how.id if how.id is not None and any(has(row, how.id) for _, row in rows) else None
    if rows and column is None and how.id not in (None, type(how).model_fields["id"].default):
        raise source.fault(f"has no {how.id} in any row; set {source.key}.id to the column of ids, or to null")
    for number, row in rows:
        question = _question(source, row, how)
        name = str(number) if column is None else _id(source, row, column, number)
        while name in taken:
            name += f" ({number})"
        taken.add(name)
        try:
            golds = read_golds(read(source, row, how, "answer"), how.gold)
        except BadGold as fault:
            bad.append((row.place, fault))
            continue
        try:
            "".join([name, question, *golds]).encode()
        except UnicodeEncodeError:
            raise source.fault("holds half a surrogate pair, which is no text", row.place) from None
        placed.append(Placed(row.place, Problem(name, question, golds)))
    return placed, bad


def _question(source: Rows, row: Row, how: Columns) -> str:
    value = read(source, row, how, "question")
    if isinstance(value, str) and value.strip():
        return _before(source, row, how) + value
    said = f"{how.question} is {'empty' if isinstance(value, str) else json_type(value)}"
    if isinstance(value, list) and value and all(isinstance(turn, dict) and "content" in turn for turn in value):
        asked = next((i for i, turn in enumerate(value) if turn.get("role") == "user"), 0)
        said += f" of chat messages, and a question is a text; set {source.key}.question={how.question}.{asked}.content"
    elif isinstance(value, dict) and value:
        said += f" with {listed(value)}, and a question is a text; set {source.key}.question={how.question}.FIELD"
    else:
        said += ", and a question is a text; write one, or leave the row out"
    raise source.fault(said, row.place)


def _before(source: Rows, row: Row, how: Columns) -> str:
    """Return the text that stands before the question, with an empty line after it; "" if there is none."""
    value = find(row.fields, how.before) if how.before is not None and has(row, how.before) else None
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        raise source.fault(
            f"{how.before} is {json_type(value)}, and what stands before a question is a text", row.place
        )
    return f"{value.strip()}\n\n"


def _id(source: Rows, row: Row, column: str, number: int) -> str:
    """Return the id of a row; a row without an id, or with null, is named by its number."""
    value = find(row.fields, column) if has(row, column) else None
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return str(number)
    if isinstance(value, bool | list | dict):
        raise source.fault(f"{column} is {json_type(value)}, and an id is a text or a number", row.place)
    return scalar_text(value)


def _refused(source: Rows, how: Columns, bad: Sequence[tuple[str, BadGold]], rows: int) -> UserError:
    """Return an error with one line for each kind of fault: the places, the fault at the first one, and a setting that
    helps.
    """
    kinds: dict[str, list[tuple[str, BadGold]]] = {}
    for place, fault in bad:
        kinds.setdefault(fault.setting or str(fault), []).append((place, fault))
    lines = [f"has no usable gold answer in {len(bad)} of {rows} rows:"]
    for found in list(kinds.values())[:LISTED]:
        fault = found[0][1]
        remedy = f"{source.key}.{fault.setting.replace('COLUMN', how.answer)}"
        remedy = f"'{remedy}'" if " " in remedy else remedy
        when = f"{fault.when}, " if fault.when else ""
        says = f"; {when}set {remedy}" if fault.setting else ""
        lines.append(f"  {listed(place for place, _ in found)}: {fault}{says}")
    if more := sum(map(len, list(kinds.values())[LISTED:])):
        lines.append(f"  and {more} more rows")
    if len(bad) < rows:
        lines.append(f"mend them, or leave these rows out with {source.section}.on_bad_gold=drop")
    return source.fault("\n".join(lines))


def _by_question(placed: Sequence[Placed]) -> dict[str, list[Placed]]:
    asking: dict[str, list[Placed]] = {}
    for row in placed:
        asking.setdefault(question_key(row.problem.question), []).append(row)
    return asking


def _refuse_repeats(source: Rows, placed: Sequence[Placed]) -> None:
    """Refuse rows that ask the same as an earlier row, with the places of some of them."""
    repeated = [rows for rows in _by_question(placed).values() if len(rows) > 1]
    if not repeated:
        return
    more = sum(map(len, repeated)) - len(repeated)
    lines = [f"asks the same more than once: {more} of {len(placed)} rows repeat the question of an earlier row:"]
    lines += [
        f"  {listed(row.place for row in rows)}: {shortened(rows[0].problem.question)}" for rows in repeated[:LISTED]
    ]
    lines.append(f"mend them, or let the first row of each question count with {source.section}.on_repeat=drop")
    raise source.fault("\n".join(lines))


def _distinct(source: Rows, placed: Sequence[Placed], on_bad_gold: str) -> tuple[list[Problem], int]:
    """Return the first row of each question, and the number of rows dropped because rows of one question disagree."""
    asking = _by_question(placed)
    others = {key: _disagreeing(rows) for key, rows in asking.items()}
    disputed = {key: other for key, other in others.items() if other is not None}
    if disputed and on_bad_gold == "error":
        lines = [f"has {len(disputed)} of {len(asking)} questions with different answers:"]
        for key, other in list(disputed.items())[:LISTED]:
            first = asking[key][0]
            lines.append(f"  {first.place} and {other.place}: {first.problem.gold} and {other.problem.gold}")
        lines.append(f"mend them, or leave these questions out with {source.section}.on_bad_gold=drop")
        raise source.fault("\n".join(lines))
    kept = [rows[0].problem for key, rows in asking.items() if key not in disputed]
    return kept, sum(len(asking[key]) for key in disputed)


def _disagreeing(rows: Sequence[Placed]) -> Placed | None:
    """Return the first row with no answer that equals one of the first row's answers, or None."""
    golds = rows[0].problem.answers
    return next((o for o in rows[1:] if not any(_equal(a, gold) for a in o.problem.answers for gold in golds)), None)


def _equal(answer: str, gold: str) -> bool:
    return answers_equal(answer, gold, Values()) is True
