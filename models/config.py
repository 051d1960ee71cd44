"""The schema of the `model` group. It imports no torch, so that planning a sweep is fast."""

from __future__ import annotations

from os.path import expanduser  # unlike Path.expanduser, it does not raise for ~NAME if there is no such user
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.config import JsonDict

from models.family import families

LABEL = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # names become file names
MINI_POSITIONS = 128  # positions that the minis are made with
ADAPTER = "adapter_config.json"  # this file exists where a run saved LoRA adapters instead of whole weights
RECORDED: JsonDict = {"identity": False}  # recorded per attempt; not part of a run's signature
AT_LAUNCH: JsonDict = RECORDED | {"at_launch": True}  # recorded, and decided by a launch: later attempts keep it


def default_of(key: str) -> JsonDict:
    """Return the mark of a field that gives `key` its value when the files are composed, and that no code reads."""
    return RECORDED | {"default_of": key}


StopString = Annotated[str, Field(min_length=1)]


class Strict(BaseModel):
    """A section of the configuration. Unknown keys are refused. Text fields accept numbers, because names may be
    digits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


def is_local(path: str) -> bool:
    """Return True if `path` is a file path: it exists on this machine, or cannot be a hub id."""
    return Path(expanduser(path)).exists() or path.startswith(("/", ".", "~")) or path.count("/") != 1


class MiniRecipe(Strict):
    """The recipe of a mini model. Its hash names the directory of the cached weights.

    Raise `version` whenever `models/mini` changes what a recipe produces.
    """

    version: int = Field(ge=1, description="number of the code that makes a mini; another number makes another model")
    hidden_size: int = Field(ge=8, description="width of the residual stream, in numbers a token")
    layers: int = Field(ge=1, description="transformer layers")
    heads: int = Field(ge=1, description="attention heads of a layer")
    key_value_heads: int = Field(ge=1, description="heads of a layer that keep keys and values; they divide `heads`")
    corpus_size: int = Field(ge=1, description="worked solutions in the corpus")
    steps: int = Field(ge=1, description="optimiser steps of the pre-training")
    batch_size: int = Field(ge=1, description="worked solutions in one optimiser step")
    learning_rate: float = Field(gt=0, description="peak learning rate of the pre-training")
    seed: int = Field(0, description="seed of the corpus and of the first weights")


class Architecture(Strict):
    """The numbers that memory is predicted from, named as in the hub's config.json."""

    parameters: int = Field(ge=1, description="weights in all, each shared one counted once")
    num_hidden_layers: int = Field(ge=1, description="transformer layers")
    hidden_size: int = Field(ge=1, description="width of the residual stream, in numbers a token")
    intermediate_size: int = Field(ge=1, description="inner width of a layer's feed-forward part, in numbers a token")
    num_attention_heads: int = Field(ge=1, description="attention heads of a layer")
    num_key_value_heads: int = Field(ge=1, description="heads of a layer that keep keys and values")
    head_dim: int = Field(ge=1, description="numbers in a query, a key or a value of one head")
    vocab_size: int = Field(ge=1, description="rows of the embedding, one for each token id")
    tie_word_embeddings: bool = Field(description="whether the head shares the embedding's weights")
    query_key_norm: bool = Field(False, description="whether queries and keys are normalised, as in Qwen3 and OLMo 2")


class Resources(Strict):
    """The size of a cell's job: the resources that it requests of a cluster, and what it may count on there."""

    gpus: int = Field(ge=0, description="GPUs of the job, one process each; 0: it needs none and runs one process")
    gpu_memory_gb: float | None = Field(
        None, gt=0, description="memory of each GPU, in GiB; null: as much as this machine's GPUs have"
    )
    peak_tflops: float | None = Field(
        None, gt=0, description="peak of each device in TFLOP/s, for `perf/mfu`; null: from a table of known GPUs"
    )
    memory_gb: float | None = Field(None, gt=0, description="host memory of the job, in GiB; null: none is asked for")
    hours: float = Field(gt=0, description="time limit of the job, in hours")


class ModelResources(Resources):
    """The resources that jobs of a model request by default, and how their batches fit into them."""

    micro_batch_tokens: int = Field(
        ge=1,
        json_schema_extra=default_of("deepspeed.micro_batch_tokens"),
        description="tokens in one forward and backward pass on a process",
    )
    rollout_cache_gb: float = Field(
        gt=0,
        json_schema_extra=default_of("rollout.cache_gb"),
        description="memory of a process for the responses that it decodes together, in GiB",
    )
    gradient_checkpointing: bool = Field(
        json_schema_extra=default_of("deepspeed.gradient_checkpointing"),
        description="whether the backward pass computes activations again instead of storing them",
    )


class FullTuning(Strict):
    """All weights are trained."""

    method: Literal["full"] = Field(description="full: every weight is trained")


class LoraTuning(Strict):
    """Low-rank adapters on every linear layer but the head (LoRA, 2106.09685) are trained; the weights stay fixed."""

    method: Literal["lora"] = Field(description="lora: low-rank adapters are trained")
    rank: int = Field(ge=1, description="rank of each adapter's two factors")
    alpha: float = Field(gt=0, description="the adapters' product is scaled by alpha / rank")


TuningConfig = Annotated[FullTuning | LoraTuning, Field(discriminator="method")]


class ModelConfig(Strict):
    """One model: the source of its weights, its family, and its limits."""

    name: str = Field(
        pattern=LABEL,
        max_length=100,
        json_schema_extra=RECORDED,
        description="what tables and run names call it",
    )
    family: str = Field(description="the module of `models/` that holds what differs between model families")
    path: str | None = Field(
        None, description="hub id, local directory or .gguf file of the weights; null: a mini, which is made here"
    )
    revision: str | None = Field(None, description="commit, tag or branch on the hub; null: not from the hub")
    mini: MiniRecipe | None = Field(None, description="recipe of a mini that is pre-trained; null: weights are loaded")
    prompt: Literal["chat", "r1_zero", "none"] = Field(
        json_schema_extra=default_of("prompt.format"), description="the prompt format that the model was made for"
    )
    date: str | None = Field(
        None, description="the date that a chat template writes, for templates that write one; null: it writes none"
    )
    context: int = Field(
        ge=2,
        json_schema_extra=RECORDED,
        description="tokens that a prompt and its response may have together",
    )
    stop_tokens: tuple[str, ...] | None = Field(None, description="tokens that end a response; null: the family's")
    stop_strings: tuple[StopString, ...] = Field((), description="texts that end a response, whatever the prompt")
    dtype: Literal["float32", "bfloat16"] = Field(
        "bfloat16", description="number format of the weights in forward and backward passes"
    )
    learning_rate: float = Field(
        gt=0, json_schema_extra=default_of("optimizer.learning_rate"), description="learning rate that suits the model"
    )
    resources: ModelResources = Field(
        json_schema_extra=default_of("resources"), description="what jobs of this model ask for unless told otherwise"
    )
    architecture: Architecture | None = Field(
        None,
        json_schema_extra=RECORDED,
        description="sizes that memory is predicted from; null: read from the model's files, where they are at hand",
    )

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        """Make a local path absolute, because jobs run in another directory than the shell in which it was typed."""
        return str(Path(expanduser(path)).absolute()) if path is not None and is_local(path) else path

    def model_post_init(self, _context) -> None:
        """Check the keys against one another; raise ValueError for an unknown family, or for two sources of weights or
        none.
        """
        if self.family not in families():
            raise ValueError(f"family {self.family!r} is unknown; choose one of {', '.join(families())}")
        if self.path is None and self.mini is None:
            raise ValueError("path=null: there are no weights; set model.path to a hub id, a directory or a .gguf file")
        if self.path is not None and self.mini is not None:
            raise ValueError(
                f"path={self.path}: the chosen model {self.name} is a mini, which is made here and loads no weights; "
                "choose a model whose weights are loaded, such as model=smollm2_135m, or leave model.path out"
            )
