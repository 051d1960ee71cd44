"""Names of runs that become names of files, jobs and tags: safe characters, and no longer than what takes them."""

from __future__ import annotations

import hashlib
import re

LONGEST = 160  # characters of a run directory's name before its seed and signature; file systems take 255 in all
_DIGITS = 8  # of the hash that tells cut names apart


def short_name(text: str, limit: int) -> str:
    """`text` as a name of at most `limit` characters.

    A name that is short enough and holds nothing but ASCII letters, digits, '.', '_' and '-' stays as it is.
    Otherwise other characters become '_', the end is cut, and a hash of the whole text tells names apart that begin
    alike.

    Args:
        limit: at least 10.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", text)
    if safe == text and len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return f"{safe[: limit - _DIGITS - 1]}-{digest}"
