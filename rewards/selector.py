"""Which responses something is meant for, by what their texts show."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewards.behaviour import Behaviour, shows

LONGEST_IN_A_NAME = 24  # characters of a text; longer ones that begin alike have a column of their own in a comparison


class Selector(BaseModel):
    """What a text has to show to be selected: everything that is set here. At least one thing is."""

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
        """Whether the text shows everything that is set."""
        return (
            (self.contains is None or self.contains in text)
            and (self.behaviour is None or shows(text, self.behaviour))
            and (self.min_characters is None or len(text) >= self.min_characters)
            and (self.max_characters is None or len(text) <= self.max_characters)
        )

    @property
    def title(self) -> str:
        """What is selected, as it stands in the title of a reward: of a text that it contains the beginning."""
        words = [
            f"has_{_in_a_name(self.contains)}" if self.contains is not None else None,
            self.behaviour,
            f"from_{self.min_characters}" if self.min_characters is not None else None,
            f"to_{self.max_characters}" if self.max_characters is not None else None,
        ]
        return "_".join(filter(None, words))

    @property
    def unread(self) -> tuple[str, ...]:
        """The options that are not set, which select nothing and are no part of what a run is."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is None)


def _in_a_name(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_")[:LONGEST_IN_A_NAME] or "text"
