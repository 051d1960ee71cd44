"""What tests of `doctor` ask of its findings."""

from __future__ import annotations

from sweep.doctor.finding import Finding, Level

BROKEN, WARNING, OK = Level.BROKEN, Level.WARNING, Level.OK


def brief(found) -> list[tuple[Level, str]]:
    """Level and check of each finding that is not ok."""
    return [(one.level, one.check) for one in found if one.level != OK]


def only(found) -> Finding:
    (one,) = [one for one in found if one.level != OK]
    return one
