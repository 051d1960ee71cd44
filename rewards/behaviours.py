"""The behaviours that a configuration asks for: detectors of `rewards.detectors`, and a user's own.

The detectors of `rewards.detectors` run here, because they take little time for any text. A user's own may take any
time: a pattern such as `(a+)+b` needs longer than a life for some texts, and a function may do anything. They run in
processes that are killed at a deadline, as grading does.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from rewards.custom import TARGET, FunctionSource, with_function
from rewards.detectors import CODE, DETECTORS
from rewards.guard import Guard, Kind

log = logging.getLogger("sweep")
OWN = Kind("detector", "rewards.own_worker", (False, "took more time or memory than behaviours.deadline_s/memory_gb"))
# Names of metrics are made of a detector's name and these words; they would be read as another's.
_TAKEN = re.compile(r"prose|undecided|true_.*|.*_(?:given_rewarded|conditional_advantage)")
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]


class OwnDetector(BaseModel):
    """A detector of the user's own: a regular expression that is looked for, or a function of the text."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)
    pattern: str | None = Field(
        None, min_length=1, description="regular expression of Python; a text that holds a match shows the behaviour"
    )
    target: str | None = Field(
        None, pattern=TARGET, description="function of a text that returns True or False, as package.module:function"
    )
    function: FunctionSource | None = Field(None, description="file of the function; a launch finds it from `target`")

    @model_validator(mode="before")
    @classmethod
    def _frozen(cls, values: object) -> object:
        return with_function(values)

    @model_validator(mode="after")
    def _has_one_of_both(self) -> OwnDetector:
        if (self.pattern is None) == (self.target is None):
            raise ValueError("set either pattern (a regular expression) or target (a function), and not both")
        return self

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"is no regular expression of Python: {error}") from None
        return pattern

    @property
    def definition(self) -> str:
        """What its decisions follow from: the pattern, or the function's name and the hash of its file."""
        if self.function is None:
            return f"pattern {self.pattern}"
        return f"{self.target} blake2b:{hashlib.blake2b(self.function.source.encode(), digest_size=16).hexdigest()}"


class BehavioursConfig(BaseModel):
    """The detectors of behaviours. They change no result of a training."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    detectors: tuple[str, ...] = Field(
        tuple(DETECTORS), description="detectors by name, of those that docs/behaviours.md lists; `code` is always used"
    )
    own: dict[Name, OwnDetector] = Field({}, description="detectors of your own, each with a pattern or a target")
    deadline_s: float = Field(
        1.0, gt=0, description="seconds of processor time that one detector of your own may take for one text"
    )
    memory_gb: float = Field(
        4.0, gt=0.25, description="memory that one process with detectors of your own may take, in GiB"
    )

    @field_validator("detectors")
    @classmethod
    def _are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in DETECTORS:
                near = difflib.get_close_matches(name, DETECTORS, 1)
                meant = f"did you mean {near[0]}? " if near else ""
                raise ValueError(
                    f"there is no detector {name}; {meant}There are {', '.join(DETECTORS)}, and those of your own go "
                    "under behaviours.own"
                )
        return tuple(dict.fromkeys([CODE, *names]))

    @field_validator("own")
    @classmethod
    def _have_free_names(cls, own: dict[str, OwnDetector]) -> dict[str, OwnDetector]:
        for name in own:
            if name in DETECTORS or _TAKEN.fullmatch(name):
                raise ValueError(f"{name} is the name of another detector or metric; choose another name")
        return own

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all its detectors, sorted."""
        return tuple(sorted([*self.detectors, *self.own]))


class Found(NamedTuple):
    """What the detectors found in a text, by their names, sorted; and which of the user's own decided nothing."""

    shown: tuple[str, ...]
    undecided: tuple[str, ...] = ()


class Behaviours:
    """Finds behaviours with the detectors of a configuration. Processes start with the first text for them."""

    def __init__(self, config: BehavioursConfig, workers: int = 1) -> None:
        self.config = config
        self._faults: Counter[str] = Counter()  # by the name of the detector
        own = {name: own.model_dump(mode="json") for name, own in config.own.items()}
        self._guard = Guard(workers, config.deadline_s, config.memory_gb, OWN, own)

    def detect(self, text: str) -> tuple[str, ...]:
        """Return the names of the behaviours that `text` shows, sorted."""
        return self.detect_all([text])[0].shown

    def detect_all(self, texts: Sequence[str]) -> list[Found]:
        """Return what was found in each text.

        A detector of the user's own that raises an exception, returns no truth value, or exceeds its time or memory
        decides nothing about that text. The text then counts as one that does not show the behaviour. The log gets
        the first such fault of each detector, and their number when this is closed.

        Raises:
            RuntimeError: a function of the user's own cannot be loaded. The message ends with the reason.
        """
        shown = [{name for name in self.config.detectors if DETECTORS[name].shown(text)} for text in texts]
        undecided: list[set[str]] = [set() for _ in texts]
        asked = [(place, name) for name in self.config.own for place in range(len(texts))]
        answers = self._guard.verdicts([(name, texts[place]) for place, name in asked]) if asked else []
        for (place, name), (is_shown, fault) in zip(asked, answers, strict=True):
            if fault:
                undecided[place].add(name)
                self._count_fault(name, fault)
            elif is_shown:
                shown[place].add(name)
        return [Found(tuple(sorted(s)), tuple(sorted(u))) for s, u in zip(shown, undecided, strict=True)]

    def _count_fault(self, name: str, fault: str) -> None:
        self._faults[name] += 1
        if self._faults[name] == 1:
            log.warning("a text counts as not showing a behaviour: behaviours.own.%s: %s", name, fault)

    def definitions(self) -> dict[str, str]:
        """Return what decides about each behaviour, by name: behaviours of equal definitions are comparable."""
        definitions = {**DETECTORS, **self.config.own}
        return {name: definitions[name].definition for name in self.config.names}

    def close(self) -> None:
        """Stop the processes, and log how many texts one's own detectors decided nothing about."""
        for name, number in self._faults.items():
            log.warning("behaviours.own.%s decided nothing about %d texts, which count as not showing it", name, number)
        self._faults.clear()
        self._guard.close()
