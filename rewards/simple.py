"""Rewards that are made of nothing else: of the answer, of the text, of labels, of votes, and by a user's function."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from rewards.base import Group, OfResponse, Response, Signal
from rewards.behaviour import repeats_itself, uses_code
from rewards.custom import FunctionSource, call, locate
from rewards.extraction import last_boxed
from rewards.vote import Judge, Vote, count_votes

TARGET = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class GroundTruth(OfResponse):
    """1 where the final answer equals the gold answer."""

    name: Literal["ground_truth"]

    def value(self, response: Response) -> float:
        return float(response.correct)

    @property
    def reads_grading(self) -> bool:
        return True


class Format(OfResponse):
    """1 where the response has a non-empty `\\boxed{}`."""

    name: Literal["format"]

    def value(self, response: Response) -> float:
        return float(bool((last_boxed(response.text) or "").strip()))


class Python(OfResponse):
    """1 where the text mentions python, as the paper detects code reasoning."""

    name: Literal["python"]

    def value(self, response: Response) -> float:
        return float(uses_code(response.text))


class NoPython(OfResponse):
    """1 where the text does not mention python."""

    name: Literal["no_python"]

    def value(self, response: Response) -> float:
        return float(not uses_code(response.text))


class NoRepetition(OfResponse):
    """1 where no stretch of `characters` characters occurs `times` times."""

    name: Literal["no_repetition"]
    characters: int = Field(80, ge=1)
    times: int = Field(3, ge=2)

    def value(self, response: Response) -> float:
        return float(not repeats_itself(response.text, self.characters, self.times))


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
    def is_binary(self) -> None:
        return None

    @property
    def reads_grading(self) -> bool:
        return True

    @property
    def title(self) -> str:
        return f"custom_{self.target.partition(':')[2]}"
