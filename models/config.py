"""The `model` group's schema. Free of torch, so that planning a sweep stays fast."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from models.family import FAMILIES

LABEL = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # names become file names
RECORDED = {"identity": False}  # recorded per attempt; not part of a run's signature


class MiniRecipe(BaseModel):
    """How a mini model is made; its hash names the cached weights.

    Raise `version` whenever `models/mini` changes what a recipe produces.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

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


class ModelConfig(BaseModel):
    """One model: where its weights come from, its family, and what it can hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=LABEL, description="the label in tables and run names")
    family: str = Field(description="the module of models/ that formats prompts and knows the stop tokens")
    path: str | None = Field(None, description="hub id or local directory; null for a mini")
    revision: str | None = Field(None, description="hub commit, tag or branch; null: the default branch")
    mini: MiniRecipe | None = Field(None, description="pre-train this miniature instead of loading weights")
    context: int = Field(ge=2, description="positions the model was trained for")
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    learning_rate: float = Field(gt=0, description="what optimizer.learning_rate takes unless overridden")
    parameters: int = Field(ge=1, json_schema_extra=RECORDED, description="count, for predictions of disk")

    def model_post_init(self, _context) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"family {self.family!r} is unknown; choose one of {', '.join(FAMILIES)}")
        if (self.path is None) == (self.mini is None):
            raise ValueError("set exactly one of path and mini")
