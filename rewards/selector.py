"""Select responses by their texts, for options that apply to some responses only."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewards.behaviour import Behaviour, shows

# Characters of `contains` that a title holds. If two longer texts begin alike, a comparison gives them a column.
LONGEST_IN_A_NAME = 24


class Selector(BaseModel):
    """Conditions on a text. A text is selected if it meets every one that is set; at least one must be."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    contains: str | None = Field(None, min_length=1, description="these characters stand in the text")
    behaviour: Behaviour | None = Field(None, description="code: the paper's mark of code reasoning; prose: none")
    min_characters: int | None = Field(None, ge=0, description="the text is at least so long")
    max_characters: int | None = Field(None, ge=0, description="the text is at most so long")

    @model_validator(mode="after")
    def _selects_something(self) -> Selector:
        if len(self.unread) == len(Selector.model_fields):
            raise ValueError(f"selects by nothing; set {' or '.join(Selector.model_fields)}")
        low, high = self.min_characters, self.max_characters
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_characters={low}: is above max_characters={high}, so that no text is selected")
        return self

    def selects(self, text: str) -> bool:
        """Return True if the text meets every condition that is set."""
        return (
            (self.contains is None or self.contains in text)
            and (self.behaviour is None or shows(text, self.behaviour))
            and (self.min_characters is None or len(text) >= self.min_characters)
            and (self.max_characters is None or len(text) <= self.max_characters)
        )

    @property
    def title(self) -> str:
        """The conditions as they stand in the title of a reward; of `contains` only the beginning."""
        words = [
            f"has_{_in_a_name(self.contains)}" if self.contains is not None else None,
            self.behaviour,
            f"from_{self.min_characters}" if self.min_characters is not None else None,
            f"to_{self.max_characters}" if self.max_characters is not None else None,
        ]
        return "_".join(filter(None, words))

    @property
    def unread(self) -> tuple[str, ...]:
        """The conditions that are not set. They select nothing and are not part of a run's identity."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is None)


def _in_a_name(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_")[:LONGEST_IN_A_NAME] or "text"
