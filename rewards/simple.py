"""Rewards that are not made of other rewards: from the answer, the text, labels, votes, or a user's function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from rewards.base import OfResponse, Response, Signal
from rewards.behaviour import repeats_itself, uses_code
from rewards.custom import TARGET, FunctionSource, call, with_function
from rewards.extraction import last_boxed
from rewards.vote import Judge, Vote, count_votes

VOTE = "which answers vote for one another: equivalence: equal ones; string: those of the same characters"


class GroundTruth(OfResponse):
    """1 if the final answer equals the gold answer."""

    name: Literal["ground_truth"] = Field(description="ground_truth: 1 where the final answer equals the gold answer")

    def value(self, response: Response) -> float:
        """Return 1.0 if the answer is correct, else 0.0."""
        return float(response.correct)

    @property
    def reads_grading(self) -> bool:
        """Always True."""
        return True


class Format(OfResponse):
    r"""1 if the response has a non-empty `\boxed{}`."""

    name: Literal["format"] = Field(description="format: 1 where something is boxed")

    def value(self, response: Response) -> float:
        """Return 1.0 if the last box holds something, else 0.0."""
        return float(bool((last_boxed(response.text) or "").strip()))


class Python(OfResponse):
    """1 if the text mentions python, as the paper detects code reasoning."""

    name: Literal["python"] = Field(description="python: 1 where the text mentions python")

    def value(self, response: Response) -> float:
        """Return 1.0 if the text mentions python, else 0.0."""
        return float(uses_code(response.text))


class NoPython(OfResponse):
    """1 if the text does not mention python."""

    name: Literal["no_python"] = Field(description="no_python: 1 where it does not")

    def value(self, response: Response) -> float:
        """Return 1.0 if the text does not mention python, else 0.0."""
        return float(not uses_code(response.text))


class NoRepetition(OfResponse):
    """1 if no stretch of `characters` characters occurs `times` times."""

    name: Literal["no_repetition"] = Field(description="no_repetition: 1 where the text does not repeat itself")
    characters: int = Field(80, ge=1, description="length of the stretches that are counted, in characters")
    times: int = Field(3, ge=2, description="occurrences of a stretch at which a text repeats itself")

    def value(self, response: Response) -> float:
        """Return 1.0 if nothing is repeated so often, else 0.0."""
        return float(not repeats_itself(response.text, self.characters, self.times))


class _Labelled(Signal):
    """1 if the final answer equals the problem's majority label, voted by samples of the initial model."""

    vote: Vote = Field("equivalence", description=VOTE)

    def score(self, groups: Sequence[Sequence[Response]], judge: Judge) -> list[list[float]]:
        """Return 1.0 for each response whose answer equals its problem's label, else 0.0."""
        equal = iter(judge([(r.answer, r.label) for group in groups for r in group]))
        return [[float(next(equal)) for _ in group] for group in groups]

    @property
    def reads_grading(self) -> bool:
        """Always True."""
        return True

    @property
    def needs_labels(self) -> bool:
        """Always True."""
        return True

    @property
    def votes(self) -> set[Vote]:
        """The vote that makes its labels."""
        return {self.vote}


class MajorityVote(_Labelled):
    """1 if the final answer equals the majority label."""

    name: Literal["majority_vote"] = Field(description="majority_vote: 1 where the answer equals the majority label")


class Incorrect(_Labelled):
    """1 if the final answer equals the majority label; only problems whose label is wrong are trained on."""

    name: Literal["incorrect"] = Field(description="incorrect: the same, only on problems whose label is wrong")

    @property
    def wrong_labels_only(self) -> bool:
        """Always True."""
        return True


class MajorityVoteOnline(Signal):
    """1 for the responses whose answer is the most frequent one of their group."""

    name: Literal["majority_vote_online"] = Field(
        description="majority_vote_online: 1 for a group's most frequent answer"
    )
    vote: Vote = Field("equivalence", description=VOTE)

    def score(self, groups: Sequence[Sequence[Response]], judge: Judge) -> list[list[float]]:
        """Return 1.0 for each response that gave its group's most frequent answer, else 0.0."""
        ballots = count_votes([[r.answer for r in group] for group in groups], self.vote, judge)
        winners = [set(found[0].voters) if found else set() for found in ballots]
        return [[float(place in won) for place in range(len(g))] for g, won in zip(groups, winners, strict=True)]

    @property
    def reads_grading(self) -> bool:
        """Always True."""
        return True


class Custom(Signal):
    """A user's own function: see docs/rewards.md. The text of its file becomes part of the configuration."""

    name: Literal["custom"] = Field(description="custom: a function of yours")
    target: str = Field(pattern=TARGET, description="the function, as package.module:function")
    function: FunctionSource | None = Field(None, description="file of the function; a launch finds it from `target`")

    @model_validator(mode="before")
    @classmethod
    def _frozen(cls, values: object) -> object:
        return with_function(values)

    def score(self, groups: Sequence[Sequence[Response]], judge: Judge) -> list[list[float]]:
        """Return the rewards that the user's function gives; see `rewards.custom.call` for the errors."""
        return [call(self.target, self.function, group) for group in groups]

    @property
    def is_binary(self) -> None:
        """Always None: only the function's rewards can tell."""
        return None

    @property
    def reads_grading(self) -> bool:
        """Always True: the function may read `answer` and `correct`."""
        return True

    @property
    def title(self) -> str:
        """ "custom_" and the function's name."""
        return f"custom_{self.target.partition(':')[2]}"
