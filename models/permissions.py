"""The permissions of written directories follow the umask, as those of any other new file do."""

from __future__ import annotations

import uuid
from pathlib import Path


def follow_umask(directory: Path) -> None:
    """Give a directory and everything in it the permissions that new files get.

    safetensors and `tempfile` make files that only their owner can read. The umask is found from the mode of a new
    file, because the system call that reads it also changes it, for every thread.
    """
    probe = directory / f".umask-{uuid.uuid4().hex}"
    probe.touch()
    mode = probe.stat().st_mode & 0o777
    probe.unlink()
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            path.chmod(mode | (mode & 0o444) >> 2 if path.is_dir() else mode)
