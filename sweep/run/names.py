"""Names of runs as names of files, jobs and tags: with safe characters, and within the limits of each."""

from __future__ import annotations

import hashlib
import re

LONGEST = 160  # characters of a run directory's name before its seed and signature; file systems allow 255 in all
_DIGITS = 8  # hex digits of the hash that distinguishes shortened names


def short_name(text: str, limit: int) -> str:
    """Return `text` as a name of at most `limit` characters.

    A short name of ASCII letters, digits, '.', '_' and '-' stays as it is. In other names all other characters become
    '_', the end is cut, and a hash of the whole text distinguishes names that begin alike.

    Args:
        limit: at least 10.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", text)
    if safe == text and len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return f"{safe[: limit - _DIGITS - 1]}-{digest}"
