"""The reward signals: the sweep's second axis. Each is a schema for its options and a pure function of groups.

Definitions stand in docs/rewards.md. `signal.score(groups, judge)` returns a reward for each response of each group.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rewards.behaviour import repeats_itself, uses_code
from rewards.custom import FunctionSource, call, locate
from rewards.extraction import last_boxed
from rewards.vote import Judge, Vote, count_votes


@dataclass(frozen=True)
class Response:
    """One sampled response, as a reward sees it.

    `answer` is what extraction found, `correct` whether it equals the gold answer. `label` is the majority label of the
    problem, for rewards that need labels. `draw(purpose)` gives a uniform number in [0, 1) that depends only on the
    response's place in the run, so that logging, resuming or another process count never changes a random reward.
    """

    question: str
    text: str
    gold: str
    answer: str | None
    correct: bool
    truncated: bool
    draw: Callable[[str], float]
    label: str | None = None


Group = Sequence[Response]
TARGET = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class Signal(BaseModel, ABC):
    """Options of a reward; unknown options are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str

    @abstractmethod
    def score(self, groups: Sequence[Group], judge: Judge) -> list[list[float]]:
        """A reward for each response of each group; `judge` compares answers, many pairs at once."""

    @property
    def title(self) -> str:
        """What the reward is called in tables and directory names: distinct for rewards of different parts."""
        return self.name

    @property
    def parts(self) -> tuple[Signal, ...]:
        """The rewards it is composed of."""
        return ()

    @property
    def reads_grading(self) -> bool:
        """Whether it depends on how answers are found and compared."""
        return any(part.reads_grading for part in self.parts)

    @property
    def needs_labels(self) -> bool:
        return any(part.needs_labels for part in self.parts)

    @property
    def votes(self) -> set[Vote]:
        """How the labels it needs are voted."""
        return set().union(*(part.votes for part in self.parts))

    @property
    def wrong_labels_only(self) -> bool:
        """Whether it trains only on problems whose label is wrong."""
        return any(part.wrong_labels_only for part in self.parts)


class _OfResponse(Signal):
    """A reward that depends on nothing but the response itself."""

    @abstractmethod
    def value(self, response: Response) -> float:
        """Its reward."""

    def score(self, groups: Sequence[Group], judge: Judge) -> list[list[float]]:
        return [[self.value(response) for response in group] for group in groups]


class GroundTruth(_OfResponse):
    """1 where the final answer equals the gold answer."""

    name: Literal["ground_truth"]

    def value(self, response: Response) -> float:
        return float(response.correct)

    @property
    def reads_grading(self) -> bool:
        return True


class Random(_OfResponse):
    """1 with the given probability, whatever the response says."""

    name: Literal["random"]
    probability: float = Field(0.5, ge=0.0, le=1.0)

    def value(self, response: Response) -> float:
        return float(response.draw("random reward") < self.probability)


class Format(_OfResponse):
    """1 where the response has a non-empty `\\boxed{}`."""

    name: Literal["format"]

    def value(self, response: Response) -> float:
        return float(bool((last_boxed(response.text) or "").strip()))


class Python(_OfResponse):
    """1 where the text mentions python, as the paper detects code reasoning."""

    name: Literal["python"]

    def value(self, response: Response) -> float:
        return float(uses_code(response.text))


class NoPython(_OfResponse):
    """1 where the text does not mention python."""

    name: Literal["no_python"]

    def value(self, response: Response) -> float:
        return float(not uses_code(response.text))


class NoRepetition(_OfResponse):
    """1 where no stretch of `characters` characters occurs `times` times."""

    name: Literal["no_repetition"]
    characters: int = Field(80, ge=1)
    times: int = Field(3, ge=2)

    def value(self, response: Response) -> float:
        return float(not repeats_itself(response.text, self.characters, self.times))


class Constant(_OfResponse):
    """The same for every response: under a group baseline every advantage is 0."""

    name: Literal["constant"]
    reward: float = Field(1.0, allow_inf_nan=False)

    def value(self, response: Response) -> float:
        return self.reward


class _Labelled(Signal):
    """1 where the final answer equals the problem's majority label, voted by samples of the initial model."""

    vote: Vote = "equivalence"

    def score(self, groups: Sequence[Group], judge: Judge) -> list[list[float]]:
        equal = iter(judge([(r.answer, r.label) for group in groups for r in group]))
        return [[float(next(equal)) for _ in group] for group in groups]

    @property
    def reads_grading(self) -> bool:
        return True

    @property
    def needs_labels(self) -> bool:
        return True

    @property
    def votes(self) -> set[Vote]:
        return {self.vote}


class MajorityVote(_Labelled):
    """1 where the final answer equals the majority label."""

    name: Literal["majority_vote"]


class Incorrect(_Labelled):
    """1 where the final answer equals the majority label, on problems whose label is wrong and on no others."""

    name: Literal["incorrect"]

    @property
    def wrong_labels_only(self) -> bool:
        return True


class MajorityVoteOnline(Signal):
    """1 for the responses whose answer is the most frequent of their group."""

    name: Literal["majority_vote_online"]
    vote: Vote = "equivalence"

    def score(self, groups: Sequence[Group], judge: Judge) -> list[list[float]]:
        ballots = count_votes([[r.answer for r in group] for group in groups], self.vote, judge)
        winners = [set(found[0].voters) if found else set() for found in ballots]
        return [[float(place in won) for place in range(len(g))] for g, won in zip(groups, winners, strict=True)]

    @property
    def reads_grading(self) -> bool:
        return True


class Custom(Signal):
    """A function of yours: see docs/rewards.md. Its file is frozen into the configuration."""

    name: Literal["custom"]
    target: str = Field(pattern=TARGET, description="package.module:function")
    function: FunctionSource | None = Field(None, description="found from `target`; nothing to set")

    @model_validator(mode="before")
    @classmethod
    def _frozen(cls, values: dict) -> dict:
        target = values.get("target") if isinstance(values, dict) else None
        if isinstance(target, str) and re.match(TARGET, target) and values.get("function") is None:
            return {**values, "function": locate(target)}
        return values

    def score(self, groups: Sequence[Group], judge: Judge) -> list[list[float]]:
        return [call(self.target, self.function, group) for group in groups]

    @property
    def reads_grading(self) -> bool:
        return True

    @property
    def title(self) -> str:
        return f"custom_{self.target.partition(':')[2]}"


class _Composed(Signal):
    """Several rewards, made one response by response; each has draws of its own."""

    rewards: tuple[RewardConfig, ...] = Field(min_length=1)

    @abstractmethod
    def combine(self, values: Sequence[float]) -> float:
        """One reward from those of the parts."""

    def score(self, groups: Sequence[Group], judge: Judge) -> list[list[float]]:
        scored = []
        for place, part in enumerate(self.rewards):
            own = [[replace(r, draw=_draws_of_part(r.draw, place)) for r in group] for group in groups]
            scored.append(part.score(own, judge))
        return [[self.combine(values) for values in zip(*group, strict=True)] for group in zip(*scored, strict=True)]

    @property
    def parts(self) -> tuple[Signal, ...]:
        return self.rewards


class AllOf(_Composed):
    """The least of its rewards: 1 where all are 1."""

    name: Literal["all_of"]

    def combine(self, values: Sequence[float]) -> float:
        return min(values)

    @property
    def title(self) -> str:
        return _joined("and", self.rewards)


class AnyOf(_Composed):
    """The greatest of its rewards: 1 where any is 1."""

    name: Literal["any_of"]

    def combine(self, values: Sequence[float]) -> float:
        return max(values)

    @property
    def title(self) -> str:
        return _joined("or", self.rewards)


class Not(Signal):
    """1 minus a reward."""

    name: Literal["not"]
    reward: RewardConfig

    def score(self, groups: Sequence[Group], judge: Judge) -> list[list[float]]:
        return [[1.0 - value for value in group] for group in self.reward.score(groups, judge)]

    @property
    def parts(self) -> tuple[Signal, ...]:
        return (self.reward,)

    @property
    def title(self) -> str:
        return f"not{_gap(self.parts)}{self.reward.title}"


class Weighted(_Composed):
    """The weighted sum of its rewards."""

    name: Literal["weighted"]
    weights: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = Field(description="one for each reward")

    @model_validator(mode="after")
    def _one_weight_each(self) -> Weighted:
        if len(self.weights) != len(self.rewards):
            raise ValueError(f"{len(self.weights)} weights for {len(self.rewards)} rewards; give one for each")
        return self

    def combine(self, values: Sequence[float]) -> float:
        return sum(w * v for w, v in zip(self.weights, values, strict=True))

    @property
    def title(self) -> str:
        gap = _gap(self.rewards)
        return f"{gap}plus{gap}".join(f"{w:g}{gap}{r.title}" for w, r in zip(self.weights, self.rewards, strict=True))


def _draws_of_part(draw: Callable[[str], float], place: int) -> Callable[[str], float]:
    return lambda purpose: draw(f"part {place} {purpose}")


def _gap(parts: Sequence[Signal]) -> str:
    """Underscores between the words of a title, more of them the more levels the parts have."""
    return "_" + max((_gap(p.parts) for p in parts if p.parts), default="")


def _joined(word: str, rewards: Sequence[Signal]) -> str:
    gap = _gap(rewards)
    return f"{gap}{word}{gap}".join(r.title for r in rewards)


def _named(value: Any) -> Any:
    """A bare name stands for the reward with its default options."""
    return {"name": value} if isinstance(value, str) else value


_AnySignal = (
    GroundTruth | MajorityVote | MajorityVoteOnline | Incorrect | Format | Random | Python | NoPython | NoRepetition
    | Constant | Custom | AllOf | AnyOf | Not | Weighted
)  # fmt: skip
RewardConfig = Annotated[Annotated[_AnySignal, Field(discriminator="name")], BeforeValidator(_named)]
_SIGNALS = {get_args(signal.model_fields["name"].annotation)[0]: signal for signal in get_args(_AnySignal)}
REWARD_NAMES = tuple(_SIGNALS)


def options_of(name: str) -> list[str]:
    """The options of the reward `name`."""
    return list(_SIGNALS[name].model_fields) if name in _SIGNALS else []


for _composed in (AllOf, AnyOf, Not, Weighted):
    _composed.model_rebuild()
