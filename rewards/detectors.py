"""The detectors of behaviours by name: each is a pure function of a response's text.

A detector's `version` is raised whenever it decides about any text otherwise than before. Whatever keeps behaviours
keeps the versions with them (`rewards.behaviours.Behaviours.definitions`), so that they can be told from others.

All of them take time in proportion to the text's length, whatever the text is.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rewards.behaviour import repeats_itself, uses_code
from rewards.extraction import last_boxed
from rewards.scripts import switches_script

REPEATED_CHARACTERS, REPEATED_TIMES = 80, 3  # as the reward no_repetition has them by default
MOST_PARSED = 10_000  # characters of the longest code block that is parsed: Python's parser may fail on a larger one
_PYTHON = ("python", "py", "python3")
# Looking for the stems first is many times as fast. Every match holds a stem, and lies within so many characters of it.
_CHECK_STEMS, _AROUND = ("verif", "check", "confirm", "make sure"), 40
_CHECK = re.compile(
    r"\b(?:re-?|double[- ]|cross[- ])?verif(?:y|ies|ied|ying|ication)\b"
    r"|\b(?:re-?|double[- ]|cross[- ]|sanity[- ])check(?:s|ed|ing)?\b"
    r"|\b(?:let me|let's|let us|i'll|i will|i should|we can|we should|we must|we need to|to)\s"
    r"(?:now\s|quickly\s|also\s)?(?:check|confirm|make sure)\b"
    r"|\bcheck(?:ing)? (?:again|our|my|the (?:answer|result|solution|calculation|work)|if this|whether this)\b"
)


@dataclass(frozen=True)
class Detector:
    """A detector: whether a text shows a behaviour, what that means in one sentence, and the number of its rule."""

    shown: Callable[[str], bool]
    description: str
    version: int = 1
    rule: str = ""  # what else its decisions follow from

    @property
    def definition(self) -> str:
        """The rule that decides, for the records: equal definitions decide equally."""
        return f"version {self.version}{self.rule and f', {self.rule}'}"


class Block(NamedTuple):
    """A fenced block of a text: the language that its fence names, "" if none, its lines, and whether it is closed."""

    language: str
    body: str
    closed: bool


def fenced_blocks(text: str) -> list[Block]:
    """Return the blocks between lines of three or more backticks. The last one may be cut off by the text's end."""
    if "```" not in text:
        return []
    found: list[Block] = []
    fence, language, body = 0, "", []  # fence: the backticks that opened the block, 0 outside of one
    for line in text.split("\n"):
        rest = line.strip().lstrip("`")
        ticks = len(line.strip()) - len(rest) if "`" not in rest else 0
        if not fence and ticks >= 3:
            fence, language, body = ticks, (rest.split() or [""])[0].lower(), []
        elif fence and ticks >= fence and not rest:
            found.append(Block(language, "\n".join(body), True))
            fence = 0
        elif fence:
            body.append(line)
    return [*found, Block(language, "\n".join(body), False)] if fence else found


def has_code_block(text: str) -> bool:
    """Return True if a fenced block of the text holds anything; the last one may be cut off."""
    return any(block.body.strip() for block in fenced_blocks(text))


def has_code_that_parses(text: str) -> bool:
    """Return True if a closed block that is fenced as Python holds code that Python's parser accepts."""
    python = (block.body for block in fenced_blocks(text) if block.closed and block.language in _PYTHON)
    return any(map(_parses, python))


def _parses(code: str) -> bool:
    if not code.strip() or len(code) > MOST_PARSED:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as those about escapes, which concern the model's code and not ours
        try:
            return bool(ast.parse(textwrap.dedent(code)).body)  # a comment alone is no code
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deeply
            return False


def verifies_itself(text: str) -> bool:
    """Return True if the text says that it checks its work, as `docs/behaviours.md` lists the words."""
    lower = text.lower().replace("’", "'")
    places = (place for stem in _CHECK_STEMS for place in _places(lower, stem))
    return any(_CHECK.search(lower[max(0, place - _AROUND) : place + _AROUND]) for place in places)


def _places(text: str, stem: str) -> Iterator[int]:
    place = text.find(stem)
    while place >= 0:
        yield place
        place = text.find(stem, place + 1)


def boxes_something(text: str) -> bool:
    r"""Return True if the last `\boxed{}` that is closed holds something, as the reward `format` asks."""
    return bool((last_boxed(text) or "").strip())


def repeats(text: str) -> bool:
    """Return True if the text repeats itself, as the reward `no_repetition` has it by default."""
    return repeats_itself(text, REPEATED_CHARACTERS, REPEATED_TIMES)


CODE = "code"  # the paper's detector, which tables and figures read: it always takes part
DETECTORS = {
    CODE: Detector(uses_code, 'the text contains "python", which is how the paper detects code reasoning'),
    "code_block": Detector(has_code_block, "a fenced block holds something; the text may end before the block does"),
    "code_parses": Detector(
        has_code_that_parses,
        f"a closed block fenced as Python, of at most {MOST_PARSED:,} characters, is accepted by Python's parser",
        rule=f"Python {sys.version_info.major}.{sys.version_info.minor}",
    ),
    "self_verification": Detector(verifies_itself, "the text says that it checks its own work"),
    "language_switch": Detector(switches_script, "words stand in another script than most of the text does"),
    "repetition": Detector(
        repeats, f"some stretch of {REPEATED_CHARACTERS} characters occurs {REPEATED_TIMES} times or more"
    ),
    "boxed": Detector(boxes_something, r"the last closed \boxed{} holds something"),
}
