"""The schema of the `data` group: where problems come from and how a row holds one (docs/problems.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator
from pydantic.config import JsonDict

from models.config import RECORDED, Strict, default_of

GOLD_RULES = ("text", "number", "boxed", "list", "parts")
GOLD = (
    "how the column holds the gold answer: text, a number, in `\\boxed{}`, a list of right answers, a list of the "
    "parts of one, or after a text; docs/problems.md"
)
BEFORE = "column of texts to put before the questions, such as a context; null: none"
WHERE = "fields and the values that rows must have to be kept, such as `{level: [4, 5]}`; empty: all rows"


def neutral(value: Any) -> JsonDict:
    """Return the mark of a field that was added later: under `value` the code does what it did before."""
    return {"neutral": value}


class After(Strict):
    """The gold answer is what follows the last `after` in its column."""

    after: str = Field(min_length=1, description="the gold answer is what follows the last such text in its column")


def _gold_rule(value: Any) -> Any:
    """Check a choice of either a word or a section, with a single message for both."""
    marker = value.get("after") if isinstance(value, Mapping) and set(value) == {"after"} else None
    if value in GOLD_RULES or isinstance(value, After) or (isinstance(marker, str) and marker):
        return value
    raise ValueError(f'should be {", ".join(GOLD_RULES)}, or what the answer follows, such as {{after: "####"}}')


GoldRule = Annotated[Literal["text", "number", "boxed", "list", "parts"] | After, BeforeValidator(_gold_rule)]


def scalar_text(value: Any) -> str:
    """Return a plain value as text, the same for 5, 5.0 and "5"; filters compare these texts."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _filter(value: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return `{level: [4, 5]}` as sorted pairs of texts, so that two notations of one filter are equal."""
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
    """A problem that stands in the configuration itself."""

    question: str = Field(description="the problem's text")
    answer: str = Field(description="its gold answer")

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
    """The keys that all problem sets have."""

    name: str = Field(json_schema_extra=RECORDED, description="what tables call the problem set")
    only: OneProblem | None = Field(
        None, description="the one problem that is trained on, again and again (one-shot); null: all training problems"
    )
    on_bad_gold: Literal["error", "drop"] = Field(
        "error",
        json_schema_extra=RECORDED,  # what is refused is never trained on, so what is trained on is the same
        description="rows without a usable gold answer, and problems with several: refuse the set, or drop them",
    )
    max_prompt_tokens: int = Field(
        ge=1,
        json_schema_extra=default_of("rollout.max_prompt_tokens"),
        description="tokens of the longest prompt that suits the problems",
    )
    max_response_tokens: int = Field(
        ge=1,
        json_schema_extra=default_of("rollout.max_response_tokens"),
        description="tokens of the longest response that suits the problems",
    )


def absolute_path(path: str) -> str:
    """Return a path as an absolute one, because jobs run in another directory than the shell in which it was typed.

    Raises:
        ValueError: it names a user that there is not here.
    """
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError:
        raise ValueError("there is no user of that name here; write the whole path") from None


class ArithmeticData(ProblemSet):
    """The generated sums that the mini models are pre-trained on (`models/mini/arithmetic.py`)."""

    source: Literal["mini_arithmetic"] = Field(description="mini_arithmetic: generated sums")


class Columns(Strict):
    """The columns of a row that hold a problem. A dotted name reaches into nested fields: `prompt.0.content`."""

    question: str = Field(min_length=1, description="column of the questions")
    answer: str = Field(min_length=1, description="column of the gold answers")
    id: str | None = Field(
        None, min_length=1, json_schema_extra=neutral(None), description="column of the ids; null: rows are numbered"
    )
    gold: GoldRule = Field("text", json_schema_extra=neutral("text"), description=GOLD)
    before: str | None = Field(None, min_length=1, json_schema_extra=neutral(None), description=BEFORE)
    where: Filter = Field((), json_schema_extra=neutral(()), description=WHERE)

    @property
    def names(self) -> tuple[str, ...]:
        """Every column, or field of one, that is read."""
        optional = [name for name in (self.id, self.before) if name]
        return self.question, self.answer, *optional, *(name for name, _ in self.where)


class HubSplit(Columns):
    """A split of a data set on the Hugging Face hub."""

    path: str = Field(description="id of the data set on the hub")
    revision: str = Field("main", description="commit, tag or branch on the hub")
    subset: str | tuple[str, ...] | None = Field(
        None, description="configuration of the data set, or several that are joined; null: its only one"
    )
    split: str = Field(description="the data set's split")

    @field_validator("subset", mode="before")
    @classmethod
    def _names(cls, subset: Any) -> Any:
        names = subset if isinstance(subset, list | tuple) else [subset or "its only one"]
        if not names or not all(isinstance(name, str) for name in names):
            raise ValueError("should be the name of a configuration, or a list of names")
        return subset


class HubData(ProblemSet):
    """Problems from the Hugging Face hub."""

    source: Literal["hub"] = Field(description="hub: a data set on the Hugging Face hub")
    train: HubSplit = Field(description="problems to train on")
    test: HubSplit | None = Field(None, description="problems to test with, keys as in `train`; null: held out")
    held_out: float = Field(
        0.2,
        gt=0,
        lt=0.5,
        description="share of `train` held out in all; without `test` half of it is for testing",
    )


class FileColumns(Columns):
    """The columns of a file: JSON lines, a JSON list, CSV or Parquet, by its ending.

    The rows as they are read count in an identity, so how they are read does not.
    """

    question: str = Field("prompt", min_length=1, json_schema_extra=RECORDED, description="column of the questions")
    answer: str = Field("answer", min_length=1, json_schema_extra=RECORDED, description="column of the gold answers")
    id: str | None = Field(
        "id", min_length=1, json_schema_extra=RECORDED, description="column of the ids; rows without one are numbered"
    )
    gold: GoldRule = Field("text", json_schema_extra=RECORDED, description=GOLD)
    before: str | None = Field(None, min_length=1, json_schema_extra=RECORDED, description=BEFORE)
    where: Filter = Field((), json_schema_extra=RECORDED, description=WHERE)


class JsonLinesData(ProblemSet, FileColumns):
    """A file of problems to train on, and perhaps another one to test with."""

    source: Literal["jsonl"] = Field(description="jsonl: a file of yours")
    path: str = Field(json_schema_extra={"content": True}, description="file of the problems to train on")
    test_path: str | None = Field(
        None,
        json_schema_extra={"content": True},
        description="file of the problems to test with; null: a share of `path` is held out",
    )
    held_out: float = Field(
        0.2, gt=0, lt=0.5, description="share of `path` held out in all; without `test_path` half of it is for testing"
    )

    @field_validator("path", "test_path")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        return path and absolute_path(path)


DataConfig = Annotated[ArithmeticData | HubData | JsonLinesData, Field(discriminator="source")]
