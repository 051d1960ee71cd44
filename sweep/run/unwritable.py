"""Directories that take nothing: a full disk, a read-only file system, files of somebody else."""

from __future__ import annotations

import errno
import pwd
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM)
UNWRITABLE = (*FULL, *FORBIDDEN, errno.EROFS)


def complaint(error: OSError) -> str:
    """What is wrong with the disk and what to do, in a line; "" where the error is of another kind."""
    if error.errno not in UNWRITABLE:
        return ""
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror}; {_remedy(error)}"


def _remedy(error: OSError) -> str:
    if error.errno in FULL:
        return "make room (`python -m sweep gc` lists what may be deleted), then give the command again"
    if error.errno in FORBIDDEN:
        return f"{_owner(error.filename)}; ask for the right to write there, or use another output_dir"
    return "make it writable, or use another output_dir"


def _owner(file: str | None) -> str:
    """Whose the file is, or the nearest directory above it that can be looked at."""
    for place in (Path(file), *Path(file).parents) if file else ():
        try:
            return f"{place} belongs to {pwd.getpwuid(place.stat().st_uid).pw_name}"
        except (OSError, KeyError):
            continue
    return "it belongs to another user"
