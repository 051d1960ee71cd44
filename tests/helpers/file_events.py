"""What happens to the files below a directory, as the kernel tells it (inotify, which Linux alone has)."""

from __future__ import annotations

import ctypes
import os
import select
import struct
from collections.abc import Iterator
from pathlib import Path

MODIFIED, MOVED_TO, CREATED, DELETED, DIRECTORY = 0x2, 0x80, 0x100, 0x200, 0x40000000
WORDS = {CREATED: "created", MODIFIED: "modified", MOVED_TO: "named", DELETED: "deleted"}
HEADER = struct.Struct("iIII")  # watch, what happened, cookie, length of the name


class FileEvents:
    """Watches `root` and every directory that appears below it."""

    def __init__(self, root: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._root, self._paths = root, {}
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._found_late: list[str] = []
        self._watch(root)

    def wait(self, seconds: float) -> Iterator[str]:
        """What happened since the last call, as "created PATH"; waits for as long as `seconds` where nothing did."""
        if not self._found_late and not select.select([self._descriptor], [], [], seconds)[0]:
            return
        yield from self._late()
        try:
            data = os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return
        while data:
            watch, happened, _, length = HEADER.unpack_from(data)
            name = data[HEADER.size : HEADER.size + length].rstrip(b"\0").decode()
            data = data[HEADER.size + length :]
            if watch not in self._paths:  # its directory is gone
                continue
            path = self._paths[watch] / name
            yield from (f"{word} {path.relative_to(self._root)}" for bit, word in WORDS.items() if happened & bit)
            if happened & DIRECTORY and happened & (CREATED | MOVED_TO):
                self._watch(path)
                yield from self._late()

    def forget(self) -> None:
        """Leave out what happened until now."""
        while list(self.wait(0)):
            pass

    def close(self) -> None:
        os.close(self._descriptor)

    def _watch(self, directory: Path) -> None:
        """Watch a directory; what was in it before that is told as created."""
        mask = MODIFIED | MOVED_TO | CREATED | DELETED
        watch = self._libc.inotify_add_watch(self._descriptor, os.fsencode(directory), mask)
        if watch < 0:  # it is gone again
            return
        self._paths[watch] = directory
        try:
            entries = list(os.scandir(directory))
        except FileNotFoundError:
            return
        for entry in entries:
            self._found_late.append(f"created {Path(entry.path).relative_to(self._root)}")
            if entry.is_dir(follow_symlinks=False):
                self._watch(Path(entry.path))

    def _late(self) -> Iterator[str]:
        found, self._found_late = self._found_late, []
        yield from found
