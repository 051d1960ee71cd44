"""The schema of the `evaluation` group: the benchmarks that weights are put to, and how they are asked.

A *benchmark* is a set of problems with a way to ask them. A file of `conf/evaluation` holds one, so that
`evaluation=[math500,aime24]` takes several. The keys of `evaluation` itself are shared: they set the same key of every
benchmark (docs/benchmarks.md).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from models.config import AT_LAUNCH, RECORDED, Strict
from models.prompts import PromptConfig
from sweep.config.benchmarks import DecimalSums, MiniFresh, RandomCalculation
from sweep.config.data import FileColumns, HubSplit, absolute_path, neutral

Split = Literal["train", "validation", "test"]
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"  # part of keys and of file names, so without a dot
SHARED = ("problems", "samples_per_problem", "temperature", "top_p", "seed", "every", "max_response_tokens", "prompt")


class Asking(Strict):
    """The keys that all benchmarks have: how many problems are asked, how often, and how answers are sampled."""

    problems: int | None = Field(None, ge=1, description="only the first so many problems; null: all of them")
    samples_per_problem: int = Field(ge=1, description="answers to each problem; accuracy is their mean")
    temperature: float = Field(ge=0, description="sampling temperature; 0: the most probable token each time (greedy)")
    top_p: float = Field(
        1.0,
        gt=0,
        le=1,
        json_schema_extra=neutral(1.0),
        description="tokens are drawn from the likeliest ones that together have this probability; 1: from all",
    )
    seed: int = Field(
        0, ge=0, json_schema_extra=neutral(0), description="seed of the draws; other seeds give other answers"
    )
    every: int = Field(
        ge=1, json_schema_extra=RECORDED, description="steps between evaluations; the last step is always evaluated"
    )
    max_response_tokens: int | None = Field(
        None,
        ge=1,
        json_schema_extra=RECORDED,  # the identity of an evaluation holds the limit that results
        description="tokens after which an answer is cut off; null: rollout.max_response_tokens",
    )
    prompt: PromptConfig | None = Field(
        None,
        json_schema_extra=RECORDED,  # the identity of an evaluation holds the prompt that results
        description="prompt of the evaluation alone; null: the cell's",
    )
    size: int | None = Field(
        None,
        ge=1,
        json_schema_extra=RECORDED,
        description="problems that the source is known to have; another number is refused; null: not checked",
    )


class Foreign(Asking):
    """The keys of a benchmark whose problems are not those of the cell's own data."""

    shared: Literal["refuse", "drop", "keep"] = Field(
        "refuse",
        json_schema_extra=RECORDED,  # a benchmark that loses problems has another identity anyway
        description="problems that are trained on, too: refuse the benchmark, leave them out, or ask them nevertheless",
    )


class DataBenchmark(Asking):
    """Problems of the cell's own data."""

    source: Literal["data"] = Field(json_schema_extra=neutral("data"), description="data: the cell's own data")
    split: Split = Field(description="problems that are asked; train: those that are trained on")


class ForeignRows(Foreign):
    """The keys of a benchmark whose problems are rows that somebody wrote."""

    on_bad_gold: Literal["error", "drop"] = Field(
        "error",
        json_schema_extra=RECORDED,
        description="rows without a usable gold answer, and problems with several: refuse the set, or drop them",
    )
    on_repeat: Literal["error", "drop"] = Field(
        "error",
        json_schema_extra=RECORDED,
        description="rows that ask the same as an earlier row: refuse the set, or drop them",
    )


class HubBenchmark(ForeignRows, HubSplit):
    """A data set on the Hugging Face hub."""

    source: Literal["hub"] = Field(description="hub: a data set on the Hugging Face hub")


class FileBenchmark(ForeignRows, FileColumns):
    """A file of problems."""

    source: Literal["jsonl"] = Field(description="jsonl: a file of yours")
    path: str = Field(json_schema_extra={"content": True}, description="file of the problems")

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute_path(path)


class DecimalSumsBenchmark(DecimalSums, Foreign):
    """Fresh sums of decimals."""


class RandomCalculationBenchmark(RandomCalculation, Foreign):
    """Fresh nested calculations."""


class MiniFreshBenchmark(MiniFresh, Foreign):
    """Fresh sums for the minis, longer than those that they are made and trained with."""


Benchmark = Annotated[
    DataBenchmark
    | HubBenchmark
    | FileBenchmark
    | DecimalSumsBenchmark
    | RandomCalculationBenchmark
    | MiniFreshBenchmark,
    Field(discriminator="source"),
]


class EvaluationConfig(Strict):
    """The evaluation of weights. Answers are compared with the gold answers, whatever the training reward."""

    problems: int | None = Field(
        None, ge=1, json_schema_extra=RECORDED, description="of every benchmark; null: each its own"
    )
    samples_per_problem: int | None = Field(
        None, ge=1, json_schema_extra=RECORDED, description="of every benchmark; null: each its own"
    )
    temperature: float | None = Field(
        None, ge=0, json_schema_extra=RECORDED, description="of every benchmark; null: each its own"
    )
    top_p: float | None = Field(
        None, gt=0, le=1, json_schema_extra=RECORDED, description="of every benchmark; null: each its own"
    )
    seed: int | None = Field(
        None, ge=0, json_schema_extra=RECORDED, description="of every benchmark; null: each its own"
    )
    every: int | None = Field(
        None, ge=1, json_schema_extra=RECORDED, description="of every benchmark; null: each its own"
    )
    max_response_tokens: int | None = Field(
        None, ge=1, json_schema_extra=RECORDED, description="of every benchmark; null: each its own"
    )
    prompt: PromptConfig | None = Field(
        None, json_schema_extra=RECORDED, description="of every benchmark; null: each its own, or else the cell's"
    )
    chunk: int | None = Field(
        None,
        ge=1,
        json_schema_extra=RECORDED,
        description="answers between two writes; null: what ten minutes give; an interruption loses so many",
    )
    weights: str | None = Field(
        None,
        json_schema_extra=AT_LAUNCH,
        description="directory of the weights that a stage evaluates, relative to output_dir; the plan sets it",
    )
    benchmarks: dict[Annotated[str, Field(pattern=NAME)], Benchmark] = Field(
        min_length=1, description="the benchmarks by name; the first one's accuracy is what tables show first"
    )

    @model_validator(mode="before")
    @classmethod
    def _share(cls, values: Any) -> Any:
        """Give each benchmark the shared keys that it does not set itself."""
        if not isinstance(values, dict) or not isinstance(values.get("benchmarks"), dict):
            return values
        shared = {key: values[key] for key in SHARED if values.get(key) is not None}
        benchmarks = {
            name: shared | {key: value for key, value in own.items() if key not in shared or value is not None}
            if isinstance(own, dict)
            else own
            for name, own in values["benchmarks"].items()
        }
        return values | {"benchmarks": benchmarks}

    @property
    def first(self) -> Benchmark:
        """The first benchmark."""
        return next(iter(self.benchmarks.values()))
