"""Write files atomically: each is complete or absent, even if the process dies while writing."""

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
from dataclasses import fields
from pathlib import Path
from typing import IO, Any, TypeVar

import xxhash

from sweep.errors import DamagedFile, UnknownRecord

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # errors of a network file system mounted without locks
BLOCK_BYTES = 2**22  # read at once for a hash
PARTIAL = ".partial"  # suffix of a file that is being written; if its writer died, it is garbage
_Kind = TypeVar("_Kind")
_THREADS = threading.Lock()  # excludes the threads of this process from one another if the file system has no locks


def finite(value: Any) -> Any:
    """Return `value` with NaN and infinities replaced by None, because JSON has neither."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value


def write_text(path: Path, text: str, mode: int = 0o666) -> None:
    """Write a file atomically: readers see the old or the new content, and two writers never share a temporary file.

    Args:
        mode: the permissions, from the first byte on, before the umask.
    """
    write_bytes(path, text.encode(), mode)


def write_bytes(path: Path, content: bytes | memoryview, mode: int = 0o666) -> None:
    """Write a file atomically, as `write_text` does."""
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


def sync(path: Path) -> None:
    """Flush a file, or a directory's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_hash(path: Path) -> str:
    """Return the XXH3 hash (128 bits) of a file. It is not cryptographic, and as fast as memory can be read."""
    found = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            found.update(block)
    return found.hexdigest()


def set_aside(path: Path, size: int) -> None:
    """Reserve `size` bytes on the disk for `write_into`. They are random, because some file systems store no zeros."""
    with open(path, "wb") as file:
        file.write(os.urandom(size))
        file.flush()
        os.fsync(file.fileno())


def write_into(reserve: Path, path: Path, text: str) -> None:
    """Write `path` atomically into the room that the file `reserve` holds; `reserve` becomes `path`."""
    with open(reserve, "r+b") as file:
        file.write(text.encode())
        file.truncate()
        os.fsync(file.fileno())
    os.replace(reserve, path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the file `path` (created if missing) against other threads, processes and machines.

    On a file system without locks, only the threads of this process are excluded.
    """
    with _THREADS, open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield


def try_lock(path: Path) -> IO | None:
    """Return the open file `path`, which is locked until it is closed; None if another process holds the lock.

    On a file system without locks, the open file is returned as well.
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
    """Return the text that `write_json` writes."""
    return json.dumps(finite(value), indent=1) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as JSON, with NaN and infinities as null."""
    write_text(path, as_json(value))


def read_json(path: Path, kind: type = dict) -> Any:
    """Return the file's content, or None if there is no such file.

    Args:
        kind: the type that the content has.
    Raises:
        DamagedFile: it is not JSON of that type. This project never writes such a file, but a power failure can leave
            one.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DamagedFile(f"{path}: damaged, as it holds no JSON ({error}); put a copy of it back") from None
    if not isinstance(found, kind):
        what = "object" if kind is dict else kind.__name__
        raise DamagedFile(f"{path}: damaged, as it holds no JSON {what}; put a copy of it back")
    return found


def record_of(kind: type[_Kind], values: Any, path: Path) -> _Kind:
    """Return the record of a dataclass from the values that a file holds. Keys of later versions are left out.

    Raises:
        UnknownRecord: the values are no record of that kind, for example because a later version has other keys.
    """
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    try:
        return kind(**{name: value for name, value in values.items() if name in known})
    except (TypeError, AttributeError) as error:
        why = f"it is damaged, or of a later version of this project ({error})"
        raise UnknownRecord(f"{path}: {why}; put a copy of it back, or update the project") from None
