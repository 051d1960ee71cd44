"""Find the final answer in a response, by named strategies tried in order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

Strategy = Literal["boxed", "answer_tag", "answer_is", "last_number"]

_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?:\{|(?=[^\s{]))")
_BRACE = re.compile(r"\\*[{}]")
_ANSWER_IS = re.compile(r"(?:the|final)\s+(?:final\s+)?answer\s*(?:is|:|=)\s*:?\s*", re.IGNORECASE)
_SENTENCE_END = re.compile(r"\.(?=\s|$)|\n|$")
_NUMBER = re.compile(r"[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?|[-+−]?\.\d+")


class Extracted(NamedTuple):
    """An answer as the response writes it (possibly empty), and the strategy that found it."""

    text: str
    strategy: Strategy


def extract_answer(response: str, strategies: Sequence[Strategy] = ("boxed", "answer_tag")) -> Extracted | None:
    """Return the final answer by the first strategy that finds one, or None if none does."""
    for strategy in strategies:
        text = _FINDERS[strategy](response)
        if text is not None:
            return Extracted(text.strip(), strategy)
    return None


def last_boxed(response: str) -> str | None:
    r"""Return the content of the last closed `\boxed{…}` or `\fbox{…}`, nested braces included; `\boxed 7` gives 7."""
    # A box that never closes is read to the end of the text, and a hostile text has many: only the last 20 are read.
    for match in list(_BOX.finditer(response))[:-21:-1]:
        if not match.group().endswith("{"):
            return re.compile(r"\\[a-zA-Z]+|.").match(response, match.end()).group()
        end = group_end(response, match.end())
        if end is not None:
            return response[match.end() : end]
    return None


def group_end(text: str, begin: int) -> int | None:
    r"""Return the place where the brace opened just before `begin` closes, or None. Escaped ones (`\{`) are ignored."""
    depth = 1
    for match in _BRACE.finditer(text, begin):
        if len(match.group()) % 2 == 0:  # an odd number of backslashes, of which the last one escapes the brace
            continue
        depth += 1 if match.group().endswith("{") else -1
        if depth == 0:
            return match.end() - 1
    return None


def _in_tag(response: str) -> str | None:
    lower = response.lower()
    end = lower.rfind("</answer>")
    start = lower.rfind("<answer>", 0, max(end, 0))
    if start < 0:
        return None
    inner = response[start + len("<answer>") : end]
    stated = _stated(inner)
    return inner if stated is None else stated


def _stated(response: str) -> str | None:
    """Return the text after the last "the answer is", to the end of its sentence."""
    last = None
    for match in _ANSWER_IS.finditer(response):
        last = match
    if last is None:
        return None
    return response[last.end() : _SENTENCE_END.search(response, last.end()).start()].strip("* ")


def _last_number(response: str) -> str | None:
    last = None
    for match in _NUMBER.finditer(response):
        last = match.group()
    return last


_FINDERS = {"boxed": last_boxed, "answer_tag": _in_tag, "answer_is": _stated, "last_number": _last_number}
