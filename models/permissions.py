"""Who may read what is written here: whoever the umask lets, as with any other file."""

from __future__ import annotations

import uuid
from pathlib import Path


def follow_umask(directory: Path) -> None:
    """Give a directory and all in it the permissions that new files get.

    safetensors and `tempfile` leave what they make to its owner alone. What the umask is, a new file tells: to ask the
    system for it is to change it, for every thread.
    """
    probe = directory / f".umask-{uuid.uuid4().hex}"
    probe.touch()
    mode = probe.stat().st_mode & 0o777
    probe.unlink()
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            path.chmod(mode | (mode & 0o444) >> 2 if path.is_dir() else mode)
