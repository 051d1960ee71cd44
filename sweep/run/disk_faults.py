"""A disk that takes no more: whether an error came of it, in words, and how much room there is."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
FAULTS = (*FULL, errno.EROFS)
NO_ROOM = 2**20  # bytes: a disk that has less than this left counts as full
REMEDIES = {
    errno.ENOSPC: "free some and launch again",
    errno.EDQUOT: "your quota leaves none of it (`quota -s` shows it); free some and launch again",
    errno.EROFS: "have it mounted for writing, then launch again",
}


def disk_fault(error: BaseException, *places: Path) -> str | None:
    """Why `error` (or what led to it) came of a full, used up or read-only disk, and what to do; None if it did not.

    Libraries that write by themselves (torch, safetensors) raise errors of other kinds, often without a word of the
    disk. Where one of the `places` is full, any error counts as its consequence, and its own words are kept.

    Args:
        places: where the failed work writes, the likeliest first.
    """
    for cause in _causes(error):
        number = _number(cause)
        if number is not None:
            return _explained(number, _place(cause, number, places))
    for place in places:
        number = unwritable(place)
        if number is not None:
            first = next(iter(str(error).splitlines()), "")
            return f"{_explained(number, place)} ({type(error).__name__}: {first})"
    return None


def unwritable(path: Path) -> int | None:
    """ENOSPC where the disk that holds `path` is full, EROFS where it can only be read; None where it takes more."""
    disk = os.statvfs(_existing(path))
    if disk.f_flag & os.ST_RDONLY:
        return errno.EROFS
    return errno.ENOSPC if disk.f_bavail * disk.f_frsize < min(NO_ROOM, disk.f_blocks * disk.f_frsize / 10) else None


def explain(path: Path) -> str | None:
    """What keeps anybody from writing to `path`, and what to do; None where nothing of the disk's does."""
    number = unwritable(path)
    return None if number is None else _explained(number, path)


def _explained(number: int, place: Path) -> str:
    usage = shutil.disk_usage(_existing(place))
    unit, name = (2**30, "GB") if usage.total >= 2**30 else (2**20, "MB")
    room = f"{usage.free / unit:.1f} {name} free of {usage.total / unit:.1f}"
    found = f"{place} cannot be written" if number == errno.EROFS else f"{place} has {room}"
    words = os.strerror(number)
    return f"{words[0].lower()}{words[1:]}: {found}; {REMEDIES[number]}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what led to it, latest first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _number(error: BaseException) -> int | None:
    """Which of FAULTS an error is, or names as libraries do that pass the system's words on."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in FAULTS else None
    return next((number for number in FAULTS if os.strerror(number) in str(error)), None)


def _place(error: BaseException, number: int, places: tuple[Path, ...]) -> Path:
    """What could not be written: the file that the error names, else the place that is full, else the likeliest."""
    name = getattr(error, "filename", None)
    if isinstance(name, str | bytes | os.PathLike):
        return Path(os.fsdecode(name))
    return next((place for place in places if unwritable(place) == number), places[0])


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that exists."""
    return next(p for p in (path, *path.absolute().parents) if p.exists())
