"""What happens to files on a disk."""

from __future__ import annotations

import os
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
