"""The `data` group's schema: where problems come from, and how they stand there (docs/problems.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator

from models.config import RECORDED, Strict, default_of

GOLD_RULES = ("text", "number", "boxed", "list")


def neutral(value: Any) -> dict:
    """The mark of a field added later: under `value` the code does what it did before there was the field."""
    return {"neutral": value}


class After(Strict):
    """The gold answer is what follows the last `after` in its column."""

    after: str = Field(min_length=1)


def _gold_rule(value: Any) -> Any:
    """A single message for a choice of either a word or a section."""
    marker = value.get("after") if isinstance(value, Mapping) and set(value) == {"after"} else None
    if value in GOLD_RULES or isinstance(value, After) or (isinstance(marker, str) and marker):
        return value
    raise ValueError(f'should be {", ".join(GOLD_RULES)}, or what the answer follows, such as {{after: "####"}}')


GoldRule = Annotated[Literal["text", "number", "boxed", "list"] | After, BeforeValidator(_gold_rule)]


def scalar_text(value: Any) -> str:
    """A plain value as text, the same for 5, 5.0 and "5": what a filter compares."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _filter(value: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """`{level: [4, 5]}` as sorted pairs of texts: two ways of writing one filter are one configuration."""
    if not value:
        return ()
    wanted = {str(k): v if isinstance(v, list) else [v] for k, v in value.items()} if isinstance(value, Mapping) else {}
    if not wanted or any(isinstance(entry, Mapping | list) for entries in wanted.values() for entry in entries):
        raise ValueError("should name a field and the values to keep, such as {level: [4, 5]}")
    return tuple(sorted((k, tuple(sorted({scalar_text(entry) for entry in v}))) for k, v in wanted.items()))


Filter = Annotated[
    tuple[tuple[str, tuple[str, ...]], ...],
    BeforeValidator(_filter),
    PlainSerializer(lambda pairs: {field: list(values) for field, values in pairs}),
]


class OneProblem(Strict):
    """A problem typed out."""

    question: str
    answer: str

    @field_validator("question")
    @classmethod
    def _asks(cls, question: str) -> str:
        if not question.strip():
            raise ValueError("is empty")
        return question

    @field_validator("answer", mode="before")
    @classmethod
    def _text(cls, answer: Any) -> str:
        """YAML reads a plain answer as a number."""
        finite = isinstance(answer, str | int) or (isinstance(answer, float) and math.isfinite(answer))
        if isinstance(answer, bool) or not finite:
            raise ValueError("is no answer; write the final answer as a text or a number, such as answer: '12.8'")
        return str(answer)


class ProblemSet(Strict):
    """What all problem sets say."""

    name: str = Field(json_schema_extra=RECORDED)
    only: OneProblem | None = Field(None, description="train on this problem alone, again and again (one-shot)")
    on_bad_gold: Literal["error", "drop"] = Field(
        "error",
        json_schema_extra=RECORDED,  # what is refused is never trained on, so what is trained on is the same
        description="what to do with rows without a usable gold answer, and with problems that have contradictory ones",
    )
    max_prompt_tokens: int = Field(
        ge=1, json_schema_extra=default_of("rollout.max_prompt_tokens"), description="what rollout.* takes by default"
    )
    max_response_tokens: int = Field(
        ge=1, json_schema_extra=default_of("rollout.max_response_tokens"), description="what rollout.* takes by default"
    )


class ArithmeticData(ProblemSet):
    """The generated sums the mini models know (`models/mini/arithmetic.py`)."""

    source: Literal["mini_arithmetic"]


class Columns(Strict):
    """How a problem stands in a row. A dotted name reaches into nested fields: `prompt.0.content`."""

    question: str = Field(min_length=1, description="the column of questions")
    answer: str = Field(min_length=1, description="the column of gold answers")
    id: str | None = Field(
        None, min_length=1, json_schema_extra=neutral(None), description="the column of ids; null: rows are numbered"
    )
    gold: GoldRule = Field("text", json_schema_extra=neutral("text"), description="how the gold answer stands there")
    where: Filter = Field((), json_schema_extra=neutral(()), description="fields with the values of rows to keep")

    @property
    def names(self) -> tuple[str, ...]:
        """Every column, or field of one, that is read."""
        return self.question, self.answer, *([self.id] if self.id else []), *(name for name, _ in self.where)


class HubSplit(Columns):
    """A split of a data set on the Hugging Face hub."""

    path: str = Field(description="hub id")
    revision: str = Field("main", description="hub commit, tag or branch")
    subset: str | tuple[str, ...] | None = Field(
        None, description="the data set's configuration, or several to be joined; null: its only one"
    )
    split: str

    @field_validator("subset", mode="before")
    @classmethod
    def _names(cls, subset: Any) -> Any:
        names = subset if isinstance(subset, list | tuple) else [subset or "its only one"]
        if not names or not all(isinstance(name, str) for name in names):
            raise ValueError("should be the name of a configuration, or a list of names")
        return subset


class HubData(ProblemSet):
    """Problems from the hub."""

    source: Literal["hub"]
    train: HubSplit
    test: HubSplit | None = Field(None, description="test problems; null: a share of `train` is held out")
    held_out: float = Field(
        0.2, gt=0, lt=0.5, description="share of `train` held out in all: half of it for test without its own split"
    )


class JsonLinesData(ProblemSet, Columns):
    """A file of rows: JSON lines, a JSON list, CSV or Parquet, by its ending.

    The rows as they are read count in a run's identity, so how they are read does not.
    """

    source: Literal["jsonl"]
    path: str = Field(json_schema_extra={"content": True}, description="problems to train on")
    test_path: str | None = Field(
        None, json_schema_extra={"content": True}, description="test problems; null: a share of `path` is held out"
    )
    held_out: float = Field(
        0.2, gt=0, lt=0.5, description="share of `path` held out in all: half of it for test without a file"
    )
    question: str = Field("prompt", min_length=1, json_schema_extra=RECORDED, description="the column of questions")
    answer: str = Field("answer", min_length=1, json_schema_extra=RECORDED, description="the column of gold answers")
    id: str | None = Field(
        "id", min_length=1, json_schema_extra=RECORDED, description="the column of ids; rows without one are numbered"
    )
    gold: GoldRule = Field("text", json_schema_extra=RECORDED, description="how the gold answer stands there")
    where: Filter = Field((), json_schema_extra=RECORDED, description="fields with the values of rows to keep")

    @field_validator("path", "test_path")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        """Jobs run in another directory than the shell the path was typed in."""
        try:
            return path and str(Path(path).expanduser().absolute())
        except RuntimeError:
            raise ValueError("there is no user of that name here; write the whole path") from None


DataConfig = Annotated[ArithmeticData | HubData | JsonLinesData, Field(discriminator="source")]
