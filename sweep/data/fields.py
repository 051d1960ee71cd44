"""Find columns and fields in rows, and keep the rows that match a filter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sweep.config.data import Columns, scalar_text
from sweep.data.rows import Row, Rows, json_type

# Names of columns in public data sets: messages suggest one of them if it exists.
COMMON = {
    "question": ("prompt", "problem", "question", "Problem", "Question", "query", "input"),
    "answer": ("answer", "gold", "ground_truth", "final_answer", "expected_answer", "Answer", "target", "solution"),
}
LISTED = 10  # most names, values or faults in a message


class Missing(KeyError):
    """There is no such column, or no such field in it. `said` names the ones there are."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


def find(fields: dict, path: str) -> object:
    """Return the value of a column, or of a field in it: `reward_model.ground_truth`, `prompt.0.content`.

    A field of null is null.

    Raises:
        Missing: there is no such column or field.
    """
    if path in fields:  # the name of a column may contain a dot
        return fields[path]
    value: Any = fields
    passed: list[str] = []
    for name in path.split("."):
        if value is None:
            return None
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif not passed:
            raise Missing(f"has no column {name}; it has {listed(fields)}")
        else:
            there = f"with {listed(value)}" if isinstance(value, dict) and value else "without it"
            raise Missing(f"has no field {name} in {'.'.join(passed)}, which is {json_type(value)} {there}")
        passed.append(name)
    return value


def has(row: Row, path: str) -> bool:
    """Return True if the row has the column or field."""
    try:
        find(row.fields, path)
    except Missing:
        return False
    return True


def listed(names: Iterable[object]) -> str:
    """Return names or values as a list in a message, shortened if there are many."""
    shown = [str(name) for name in names]
    return (", ".join(shown[:LISTED]) or "none") + (", …" if len(shown) > LISTED else "")


def read(source: Rows, row: Row, how: Columns, role: str) -> object:
    """Return the value in the column of questions or of answers.

    Args:
        role: "question" or "answer".
    Raises:
        UserError: the row has no such column. The message names the columns there are, and the key to set.
    """
    try:
        return find(row.fields, getattr(how, role))
    except Missing as fault:
        raise source.fault(f"{fault.said}; {advice(source, role, row.fields)}", row.place) from None


def advice(source: Rows, role: str, columns: Iterable[str]) -> str:
    """Return the key that names the column of questions or answers, with a likely column if there is one."""
    if role not in COMMON:
        return f"set {source.key}.{role} to one of them, or to null"
    likely = next((name for name in COMMON[role] if name in columns), None)
    return f"set {source.key}.{role}={likely}" if likely else f"set {source.key}.{role} to the column of {role}s"


def check_columns(source: Rows, how: Columns) -> None:
    """Check the columns of a table before its rows are read.

    Raises:
        UserError: a column that will be read does not exist.
    """
    if source.columns is None:
        return
    for role in (*COMMON, "before"):
        path = getattr(how, role)
        if path is not None and not {path, path.partition(".")[0]} & set(source.columns):
            said = f"has no column {path}; it has {', '.join(source.columns) or 'none'}"
            raise source.fault(f"{said}; {advice(source, role, source.columns)}")


def keep_wanted(source: Rows, rows: Sequence[tuple[int, Row]], how: Columns) -> list[tuple[int, Row]]:
    """Return the rows that match the filter.

    Raises:
        UserError: there are rows, and none matches. The message names the values there are.
    """
    kept = [(number, row) for number, row in rows if all(_text(row, name) in values for name, values in how.where)]
    if rows and not kept:
        raise source.fault(_why_none(source, [row for _, row in rows], how))
    return kept


def _text(row: Row, path: str) -> str | None:
    value = find(row.fields, path) if has(row, path) else {}
    return None if isinstance(value, dict | list) else scalar_text(value)


def _why_none(source: Rows, rows: Sequence[Row], how: Columns) -> str:
    for name, values in how.where:
        having = [row for row in rows if has(row, name)]
        if not having:
            columns = list(rows[0].fields) if source.columns is None else source.columns
            return f"has no column {name}, which {source.key}.where names; it has {listed(columns)}"
        found = {_text(row, name) or "" for row in having}
        if not found & set(values):
            there = listed(sorted(found))
            return f"has no row whose {name} is {' or '.join(values)} ({source.key}.where); it is {there}"
    return f"has no row that agrees with all of {source.key}.where"
