"""All reward signals, the sweep's second axis, as one schema. The key `name` decides which signal the options belong
to.

docs/rewards.md defines the signals. `signal.score(groups, judge)` returns a reward for each response of each group.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field

from rewards.composed import AllOf, AnyOf, Not, Weighted
from rewards.controls import Constant, Noisy, Random, Shuffled
from rewards.selector import Selector
from rewards.simple import (
    Custom,
    Format,
    GroundTruth,
    Incorrect,
    MajorityVote,
    MajorityVoteOnline,
    NoPython,
    NoRepetition,
    Python,
)


def _named(value: Any) -> Any:
    """Read a bare name as the reward with its default options."""
    return {"name": value} if isinstance(value, str) else value


_AnySignal = (
    GroundTruth | MajorityVote | MajorityVoteOnline | Incorrect | Format | Random | Python | NoPython | NoRepetition
    | Constant | Shuffled | Noisy | Custom | AllOf | AnyOf | Not | Weighted
)  # fmt: skip
RewardConfig = Annotated[Annotated[_AnySignal, Field(discriminator="name")], BeforeValidator(_named)]
_SIGNALS = {get_args(signal.model_fields["name"].annotation)[0]: signal for signal in get_args(_AnySignal)}
REWARD_NAMES = tuple(_SIGNALS)


def options_of(name: str) -> list[str]:
    """Return the options of the reward `name`; those of its selector as dotted keys."""
    own = list(_SIGNALS[name].model_fields) if name in _SIGNALS else []
    return [*own, *(f"when.{option}" for option in Selector.model_fields if "when" in own)]


for _of_others in (AllOf, AnyOf, Not, Weighted, Noisy):  # their schemas refer to RewardConfig, which now exists
    _of_others.model_rebuild()
