"""The `model` group's schema. Free of torch, so that planning a sweep stays fast."""

from __future__ import annotations

from os.path import expanduser  # leaves ~NAME alone where there is no such user, which then is no such file
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from models.family import families

LABEL = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # names become file names
MINI_POSITIONS = 128  # that the minis are made with
ADAPTER = "adapter_config.json"  # stands where a run left adapters instead of whole weights
RECORDED = {"identity": False}  # recorded per attempt; not part of a run's signature
AT_LAUNCH = RECORDED | {"at_launch": True}  # recorded, and decided by a launch: a later attempt cannot change it


def default_of(key: str) -> dict:
    """The mark of a field that is read by nothing but `key`, which takes its value when the files are composed."""
    return RECORDED | {"default_of": key}


StopString = Annotated[str, Field(min_length=1)]


class Strict(BaseModel):
    """A section of the configuration. A field of text takes a number for its digits: names may be made of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


def is_local(path: str) -> bool:
    """Whether `path` is meant as a path: it exists here, or could not be a hub id."""
    return Path(expanduser(path)).exists() or path.startswith(("/", ".", "~")) or path.count("/") != 1


class MiniRecipe(Strict):
    """How a mini model is made; its hash names the cached weights.

    Raise `version` whenever `models/mini` changes what a recipe produces.
    """

    version: int = Field(ge=1)
    hidden_size: int = Field(ge=8)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    key_value_heads: int = Field(ge=1)
    corpus_size: int = Field(ge=1, description="worked solutions in the corpus")
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    seed: int = 0


class Architecture(Strict):
    """The numbers that predictions of memory are made from, named as in the hub's config.json."""

    parameters: int = Field(ge=1)
    num_hidden_layers: int = Field(ge=1)
    hidden_size: int = Field(ge=1)
    intermediate_size: int = Field(ge=1)
    num_attention_heads: int = Field(ge=1)
    num_key_value_heads: int = Field(ge=1)
    head_dim: int = Field(ge=1)
    vocab_size: int = Field(ge=1)
    tie_word_embeddings: bool
    query_key_norm: bool = Field(False, description="queries and keys are normalised, as in Qwen3 and OLMo 2")


class Resources(Strict):
    """The shape of a cell's job: what it asks of a cluster, and how its batches fit into that."""

    gpus: int = Field(ge=0, description="GPUs, one process each; 0 where a model needs none")
    gpu_memory_gb: float | None = Field(None, gt=0, description="of each GPU; null: whatever the machine has")
    peak_tflops: float | None = Field(None, gt=0, description="of each device, for MFU; null: a table of known GPUs")
    memory_gb: float | None = Field(None, gt=0, description="host memory of the job; null: no request")
    hours: float = Field(gt=0, description="time limit")
    micro_batch_tokens: int = Field(
        ge=1,
        json_schema_extra=default_of("deepspeed.micro_batch_tokens"),
        description="tokens in one forward and backward pass on a process",
    )
    rollout_cache_gb: float = Field(
        gt=0,
        json_schema_extra=default_of("rollout.cache_gb"),
        description="memory of a process for the sequences it decodes together",
    )
    gradient_checkpointing: bool = Field(
        json_schema_extra=default_of("deepspeed.gradient_checkpointing"),
        description="recompute activations in the backward pass instead of storing",
    )


class FullTuning(Strict):
    """Every weight is trained."""

    method: Literal["full"]


class LoraTuning(Strict):
    """Low-rank adapters on every linear layer but the head (LoRA, 2106.09685); the weights themselves stay."""

    method: Literal["lora"]
    rank: int = Field(ge=1)
    alpha: float = Field(gt=0, description="the update is scaled by alpha / rank")


TuningConfig = Annotated[FullTuning | LoraTuning, Field(discriminator="method")]


class ModelConfig(Strict):
    """One model: where its weights come from, its family, and what it can hold."""

    name: str = Field(
        pattern=LABEL, max_length=100, json_schema_extra=RECORDED, description="the label in tables and run names"
    )
    family: str = Field(description="the module of models/ that owns what differs between families")
    path: str | None = Field(None, description="hub id, local directory or .gguf file; null for a mini")
    revision: str | None = Field(None, description="hub commit, tag or branch; null: not from the hub")
    mini: MiniRecipe | None = Field(None, description="pre-train this miniature instead of loading weights")
    prompt: Literal["chat", "r1_zero", "none"] = Field(
        json_schema_extra=default_of("prompt.format"),
        description="the model's own prompt format, which prompt.format takes by default",
    )
    date: str | None = Field(None, description="what a chat template that writes a date writes; null: it writes none")
    context: int = Field(ge=2, json_schema_extra=RECORDED, description="positions the model was trained for")
    stop_tokens: tuple[str, ...] | None = Field(None, description="tokens that end a response; null: the family's")
    stop_strings: tuple[StopString, ...] = Field((), description="texts that end a response, whatever the prompt")
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    learning_rate: float = Field(
        gt=0,
        json_schema_extra=default_of("optimizer.learning_rate"),
        description="what optimizer.learning_rate takes unless overridden",
    )
    resources: Resources = Field(json_schema_extra=default_of("resources"))
    architecture: Architecture | None = Field(
        None, json_schema_extra=RECORDED, description="null: read from the files, where they are at hand"
    )

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        """Jobs run in another directory than the shell the path was typed in."""
        return str(Path(expanduser(path)).absolute()) if path is not None and is_local(path) else path

    def model_post_init(self, _context) -> None:
        if self.family not in families():
            raise ValueError(f"family {self.family!r} is unknown; choose one of {', '.join(families())}")
        if self.path is None and self.mini is None:
            raise ValueError("path=null: there are no weights; set model.path to a hub id, a directory or a .gguf file")
        if self.path is not None and self.mini is not None:
            raise ValueError(
                f"path={self.path}: the chosen model {self.name} is a mini, which is made here and loads no weights; "
                "choose a model whose weights are loaded, such as model=smollm2_135m, or leave model.path out"
            )
