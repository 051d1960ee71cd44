"""Files that are whole or absent, whatever dies in the middle of writing them."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # a network file system that was mounted without them
PARTIAL = ".partial"  # ends the name of a file that is being written; one that a killed process left is garbage
_THREADS = threading.Lock()  # serves the threads of one process where the file system has no locks


def finite(value: Any) -> Any:
    """`value` with NaN and infinities replaced by None, so that it is valid JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value


def write_text(path: Path, text: str, mode: int = 0o666) -> None:
    """Write atomically: a reader sees the old file or the new one, and two writers never share a temporary one.

    Args:
        mode: the file's permissions, from its first byte on, less what the umask takes away.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{PARTIAL}")
    try:
        with open(partial, "w", opener=lambda place, flags: os.open(place, flags, mode)) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the file `path` (made where missing) against other threads, processes and machines.

    A file system without locks leaves the threads of this process kept apart, and no more.
    """
    with _THREADS, open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(finite(value), indent=1) + "\n")


def read_json(path: Path) -> Any | None:
    """The file's content, or None where there is no such file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def read_rows(path: Path) -> list[dict]:
    """The complete rows of a JSON-lines file; a last line cut short by a crash is left out."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1]]
