"""What happens to files on a disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

KINDS = ("cut", "flipped", "emptied", "missing")


def damage_file(file: Path, kind: str) -> None:
    """Do one of KINDS to a file: the last half goes, the bits of the byte in the middle are turned over, and so on."""
    size = file.stat().st_size
    if kind == "missing":
        file.unlink()
    elif kind == "flipped":
        with open(file, "r+b") as content:
            content.seek(size // 2)
            byte = content.read(1)[0]
            content.seek(size // 2)
            content.write(bytes([byte ^ 0xFF]))
    else:
        os.truncate(file, size // 2 if kind == "cut" else 0)


def without_lines(file: Path, *left_out: int) -> None:
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for number, line in enumerate(lines, 1) if number not in left_out))


def repeat_last(file: Path) -> None:
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines, lines[-1]]))


def as_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def link_to_itself(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to(path.name)
