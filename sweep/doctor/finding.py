"""The result of one check: how bad it is, what was seen, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

FORMAT = 1  # of the JSON


class Level(str, Enum):
    """How bad a finding is, the worst first."""

    BROKEN = "broken"  # something that was asked for would not run, or something on disk is damaged
    WARNING = "warning"  # it would run, but not as one may expect
    NOT_CHECKED = "not checked"  # it could not be looked at from here
    OK = "ok"

    def __str__(self) -> str:
        return self.value


ORDER = [*Level]


@dataclass(frozen=True)
class Finding:
    """What one check found.

    check: the name of the check, `subject.detail`, which stays the same from version to version. seen: what was found.
    remedy: the command to give or the key to set; "" if there is nothing to do. place: the cell, the directory or the
    machine that it is about; "" for this machine. file: the file that it is about, "" if it is about none.
    """

    level: Level
    check: str
    seen: str
    remedy: str = ""
    place: str = ""
    file: str = ""

    def at(self, place: str) -> Finding:
        """Return the finding with `place` as its place."""
        return replace(self, place=place)

    def as_json(self) -> dict[str, str]:
        """Return the keys that `--json` prints of a finding."""
        names = ("level", "check", "place", "file", "seen", "remedy")
        return {name: str(getattr(self, name)) for name in names}


def ok(check: str, seen: str, place: str = "") -> Finding:
    """Return a finding that all is well."""
    return Finding(Level.OK, check, seen, place=place)


def warning(check: str, seen: str, remedy: str, place: str = "", file: str = "") -> Finding:
    """Return a finding that something is not as one may expect."""
    return Finding(Level.WARNING, check, seen, remedy, place, file)


def broken(check: str, seen: str, remedy: str, place: str = "", file: str = "") -> Finding:
    """Return a finding that something does not work or is damaged."""
    return Finding(Level.BROKEN, check, seen, remedy, place, file)


def not_checked(check: str, seen: str, remedy: str = "", place: str = "") -> Finding:
    """Return a finding that something could not be looked at."""
    return Finding(Level.NOT_CHECKED, check, seen, remedy, place)


def by_severity(found: Iterable[Finding]) -> list[Finding]:
    """Return the findings, each once, the worst first; those of one level stay in their order."""
    return sorted(dict.fromkeys(found), key=lambda one: ORDER.index(one.level))


def any_broken(found: Iterable[Finding]) -> bool:
    """Return whether something is broken."""
    return any(one.level == Level.BROKEN for one in found)


def counted(found: Sequence[Finding]) -> dict[str, int]:
    """Return how many findings there are of each level."""
    return {str(level): sum(one.level == level for one in found) for level in ORDER}


def report(host: str, found: Sequence[Finding], **more: Any) -> dict[str, Any]:
    """Return the object that `--json` prints."""
    worst_first = by_severity(found)
    return {
        "format": FORMAT,
        "host": host,
        **more,
        "counts": counted(worst_first),
        "findings": [one.as_json() for one in worst_first],
    }
