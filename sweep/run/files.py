"""Files that are whole or absent, whatever dies in the middle of writing them."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any


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
    """Write atomically: a reader sees the old file or the new one.

    Args:
        mode: the file's permissions, from its first byte on, less what the umask takes away.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)  # one that a crash left has the permissions it was made with
    with open(partial, "w", opener=lambda place, flags: os.open(place, flags, mode)) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


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
