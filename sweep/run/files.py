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
from typing import IO, Any

from sweep.errors import DamagedFile

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
    write_bytes(path, text.encode(), mode)


def write_bytes(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write atomically, as `write_text` does."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{PARTIAL}")
    try:
        with open(partial, "wb", opener=lambda place, flags: os.open(place, flags, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def set_aside(path: Path, size: int) -> None:
    """Take up `size` bytes of the disk for `write_into`; they are random, as some file systems store no zeros."""
    with open(path, "wb") as file:
        file.write(os.urandom(size))
        file.flush()
        os.fsync(file.fileno())


def write_into(reserve: Path, path: Path, text: str) -> None:
    """Write `path` atomically into the room that was set aside as the file `reserve`, which thereby becomes it."""
    with open(reserve, "r+b") as file:
        file.write(text.encode())
        file.truncate()
        os.fsync(file.fileno())
    os.replace(reserve, path)


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


def try_lock(path: Path) -> IO | None:
    """The open file `path`, which is locked until it is closed; None where another holds it.

    A file system without locks gives the file all the same.
    """
    file = open(path, "a")  # noqa: SIM115 (open for as long as the lock is held)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return file


def as_json(value: Any) -> str:
    """What `write_json` writes."""
    return json.dumps(finite(value), indent=1) + "\n"


def write_json(path: Path, value: Any) -> None:
    write_text(path, as_json(value))


def read_json(path: Path) -> Any | None:
    """The file's content, or None where there is no such file.

    Raises:
        DamagedFile: it holds no JSON. This project never leaves such a file, but a machine that loses its power does.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DamagedFile(f"{path}: damaged, as it holds no JSON ({error}); put a copy of it back") from None
