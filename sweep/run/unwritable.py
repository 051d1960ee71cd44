"""Recognise errors of places that cannot be written: a full disk, a used up quota, a read-only disk, another user's
files.

The messages name the free space and what to do.
"""

from __future__ import annotations

import errno
import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM)
OF_THE_DISK = (*FULL, errno.EROFS)
NO_ROOM = 2**20  # bytes: a disk that has less than this left counts as full
FREE_SOME = "free some (`python -m sweep gc` lists what may go)"
REMEDIES = {
    errno.ENOSPC: FREE_SOME,
    errno.EDQUOT: f"your quota leaves none of it (`quota -s` shows it): {FREE_SOME}",
    errno.EROFS: "have it mounted for writing, or use another output_dir",
}


def complaint(error: OSError, *places: Path) -> str:
    """Return why a command could not write and what to do, in one line; "" for errors of another kind.

    Args:
        places: where the command writes, the most likely place first, for errors that name no file.
    """
    if error.errno in FORBIDDEN:
        place = f"{error.filename}: " if error.filename else ""
        owner = _owner(error.filename)
        return f"{place}{error.strerror}; {owner}; ask for the right to write there, or use another output_dir"
    return f"{_said(error, places)}, then give the command again" if error.errno in OF_THE_DISK else ""


def disk_fault(error: BaseException, *places: Path) -> str | None:
    """Return why `error` (or its cause) comes from a full, used up or read-only disk, and what to do; None if it does
    not.

    Libraries that write by themselves (torch, safetensors) raise errors of other kinds, often without mentioning the
    disk. If one of the `places` is full, any error counts as its consequence, and its own message is kept.

    Args:
        places: where the failed work writes, the most likely place first.
    """
    for cause in _causes(error):
        if _number(cause) is not None:
            return f"{_said(cause, places)} and launch again"
    for place in places:
        if fault := disk_state(place):
            first = next(iter(str(error).splitlines()), "")
            return f"{fault} ({type(error).__name__}: {first})"
    return None


def disk_state(place: Path) -> str | None:
    """Return why `place` cannot be written by anybody, and what to do; None if its disk can be written."""
    number = _refuses(place)
    return None if number is None else f"{_explained(number, place)} and launch again"


def _said(error: BaseException, places: tuple[Path, ...]) -> str:
    """Return the fault and its place: the file that the error names, else the place that is full, else the likeliest.

    Args:
        error: one that `_number` knows.
    """
    # An error of a copy names what is copied as well, and then where to.
    number, name = _number(error), getattr(error, "filename2", None) or getattr(error, "filename", None)
    assert number is not None
    if isinstance(name, str | bytes | os.PathLike):
        return _explained(number, Path(os.fsdecode(name)))
    refusing = [place for place in places if _refuses(place) == number]
    return _explained(number, next(iter((*refusing, *places)), None))


def _explained(number: int, place: Path | None) -> str:
    found = ""
    if place is not None and number == errno.EROFS:
        found = f" {place} cannot be written;"
    elif place is not None:
        usage = shutil.disk_usage(_existing(place))
        unit, name = (2**30, "GB") if usage.total >= 2**30 else (2**20, "MB")
        found = f" {place} has {usage.free / unit:.1f} {name} free of {usage.total / unit:.1f};"
    return f"{os.strerror(number)}:{found} {REMEDIES[number]}"


def _refuses(place: Path) -> int | None:
    """Return ENOSPC if the disk of `place` is full, EROFS if it is read-only, else None."""
    disk = os.statvfs(_existing(place))
    if disk.f_flag & os.ST_RDONLY:
        return errno.EROFS
    size, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
    return errno.ENOSPC if free < min(NO_ROOM, size / 10) else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and its causes, latest first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _number(error: BaseException) -> int | None:
    """Return the number in OF_THE_DISK that an error has, or that its text names, as errors of some libraries do; else
    None.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in OF_THE_DISK else None
    return next((number for number in OF_THE_DISK if os.strerror(number) in str(error)), None)


def _existing(path: Path) -> Path:
    """Return the path, or the nearest directory above it that exists."""
    return next(p for p in (path, *path.absolute().parents) if p.exists())


def _owner(file: str | None) -> str:
    """Return who owns the file, or the nearest directory above it that can be examined."""
    for place in (Path(file), *Path(file).parents) if file else ():
        try:
            return f"{place} belongs to {pwd.getpwuid(place.stat().st_uid).pw_name}"
        except (OSError, KeyError):
            continue
    return "it belongs to another user"
