"""The typed configuration of one cell. Unknown keys, wrong types and values out of range are refused here.

A field marked RECORDED may differ between attempts of the same run; every other field is part of the signature.
pydantic rather than OmegaConf's structured configs: ranges, unions by reward and data source, and messages
that name the key come with it, and validating a cell costs microseconds.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_serializer, field_validator

from models.architecture import cache_row_bytes
from models.config import AT_LAUNCH, LABEL, RECORDED, Architecture, ModelConfig, Resources, Strict, TuningConfig
from models.prompts import PromptConfig
from rewards.grading import GradingConfig
from rewards.signals import RewardConfig
from sweep.config.algorithm import AlgorithmConfig
from sweep.config.data import DataConfig

DEFAULT_PROJECT = "rlvr-sweep"  # of W&B
Split = Literal["train", "validation", "test"]


class OptimizerConfig(Strict):
    """AdamW with a constant learning rate after a linear warm-up."""

    learning_rate: float = Field(ge=0, description="0: a control that trains through and learns nothing")
    beta1: float = Field(ge=0, lt=1)
    beta2: float = Field(ge=0, lt=1)
    epsilon: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    warmup_updates: int = Field(ge=0)
    max_grad_norm: float = Field(gt=0)


class RolloutConfig(Strict):
    """How responses are sampled.

    The engine changes the draws and not their distribution: it is recorded, as hardware is.
    """

    name: Literal["auto", "transformers", "vllm"] = Field(
        json_schema_extra=RECORDED, description="auto: vllm where it is installed and there is a GPU, else transformers"
    )
    temperature: float = Field(gt=0)
    max_prompt_tokens: int = Field(ge=1)
    max_response_tokens: int = Field(ge=1)
    batch_size: int | None = Field(
        ge=1,
        json_schema_extra=RECORDED,
        description="responses decoded together; null: as many as cache_gb holds",
    )
    cache_gb: float = Field(gt=0, json_schema_extra=RECORDED, description="memory for their keys, values and logits")

    @property
    def max_tokens(self) -> int:
        """Of the longest sequence, prompt and response."""
        return self.max_prompt_tokens + self.max_response_tokens

    def rows(self, shape: Architecture, width: int) -> int:
        """How many responses of a model of `shape` are decoded together; `width`: bytes of a stored number."""
        row_bytes = cache_row_bytes(shape, self.max_tokens, width)
        return self.batch_size or max(1, int(self.cache_gb * 2**30 // row_bytes))


class DeepSpeedConfig(Strict):
    processes: int | None = Field(None, ge=1, description="null: one for each GPU, at least one")
    zero_stage: int = Field(ge=1, le=3, description="stage 0 keeps no fp32 master weights in bfloat16")
    micro_batch_tokens: int = Field(
        ge=1, description="tokens in one forward and backward pass on a process; a longer response goes alone"
    )
    gradient_checkpointing: bool = Field(description="recompute activations in the backward pass instead of storing")
    offload_optimizer: bool = Field(description="optimiser state and step on the host: less GPU memory, slower steps")


class EvaluationConfig(Strict):
    """Accuracy against the gold answer, whatever the training reward."""

    split: Split
    problems: int | None = Field(None, ge=1, description="only the first so many; null: all of the split")
    samples_per_problem: int = Field(ge=1)
    temperature: float = Field(ge=0, description="0 is greedy")
    every: int = Field(ge=1, json_schema_extra=RECORDED, description="steps between evaluations; the last step always")
    weights: str | None = Field(
        None,
        json_schema_extra=AT_LAUNCH,
        description="the finished run, relative to output_dir, whose weights a stage evaluates; set by the plan",
    )


class CheckpointConfig(Strict):
    every: int = Field(ge=1, description="steps between checkpoints")
    keep: int = Field(ge=1, description="checkpoints on disk")
    resumable: bool = Field(description="keep them once the run is done, so that `steps` can be raised")


class ChecksConfig(Strict):
    """What training is stopped for. The first step of every attempt is checked."""

    every: int | None = Field(None, ge=1, description="steps between further checks; null: none")
    try_rewards: bool = Field(True, description="a launch tries reward=custom on made-up responses, and refuses faults")
    logprob_difference: float = Field(gt=0, description="bound of mean |log π_trainer - log π_sampler| of a token")
    stall_minutes: float = Field(10.0, gt=0, description="a process may stay in any phase of a step for so long")
    stall_factor: float = Field(20.0, ge=1, description="and for so many times the longest that the phase took lately")
    stall_hours: float = Field(1.0, gt=0, description="a phase's limit while it has not been finished once")


class TrackingConfig(Strict):
    """The W&B mirror and the samples. A launch resolves what is left open here, so that its jobs agree."""

    mode: Literal["auto", "online", "offline", "disabled"] = Field(
        description="auto: WANDB_MODE where it is set, else online with an API key and offline without"
    )
    project: str | None = Field(None, description=f"null: WANDB_PROJECT, else {DEFAULT_PROJECT}")
    entity: str | None = Field(None, description="null: WANDB_ENTITY, else the one that the API key belongs to")
    tags: tuple[str, ...] = Field((), description="beside model, reward and seed; none: WANDB_TAGS")
    base_url: str | None = Field(None, description="the W&B server; null: WANDB_BASE_URL, else W&B's own")
    sample_groups: int = Field(1, ge=0, description="groups of a step of which samples.jsonl keeps all answers")
    samples_every: int = Field(1, ge=1, description="steps between those that it keeps answers of")
    sample_characters: int | None = Field(
        8000, ge=2, description="of a longer text in it the middle is left out; null: texts are kept whole"
    )
    reference_kl_every: int | None = Field(
        None, ge=1, description="steps between measurements of the KL to the initial model, which is loaded for them"
    )


class LocalCluster(Strict):
    """This machine."""

    kind: Literal["local"]
    name: str = Field(pattern=LABEL)
    max_parallel: int | None = Field(None, ge=1, description="processes at once; null: one for each core")
    threads: int | None = Field(
        None,
        ge=1,
        description="threads of a process; null: OMP_NUM_THREADS where that is set, else the cores, shared out",
    )
    share_imports: bool = Field(True, description="several jobs are copies of one process that imports for all of them")


class SlurmCluster(Strict):
    """Where and how Slurm runs the jobs; what a job asks for is in `resources`."""

    kind: Literal["slurm"]
    name: str = Field(pattern=LABEL)
    partition: str | None = Field(None, description="null: Slurm's default, as with the next three")
    account: str | None = None
    qos: str | None = None
    constraint: str | None = Field(None, description="features a node must have, as sbatch --constraint takes them")
    gpu_type: str | None = Field(None, description="as in --gpus-per-node=TYPE:COUNT; null: any")
    gpu_option: Literal["gpus-per-node", "gres"] = Field("gpus-per-node", description="what asks for GPUs")
    processes_per_node: int = Field(8, ge=1, description="the GPUs of a node; a job with more spans several")
    cpus_per_process: int = Field(4, ge=1, description="cores, and threads, of each process")
    max_parallel: int | None = Field(None, ge=1, description="jobs of one launch at once; null: all that Slurm starts")
    signal_seconds: int = Field(180, ge=1, description="a job is told so long before its time limit, then saves")
    container: str | None = Field(None, description="image of each process, as srun --container-image (pyxis)")
    python: str | None = Field(None, description="the command that starts Python on a node; null: this interpreter")
    srun: tuple[str, ...] = Field((), description="more arguments for srun")
    sbatch: dict[str, str | int | bool | None] = Field(
        {}, description="more sbatch options, without their dashes; null: one that is otherwise given is left out"
    )
    setup: tuple[str, ...] = Field((), description="shell lines before the job starts, such as `module load`")
    env: dict[str, str | None] = Field(
        {},
        repr=False,
        description="environment variables of the job; null: a value that was given before and is not kept here",
    )
    wait: bool = Field(
        False, json_schema_extra=AT_LAUNCH, description="stay and watch until all has ended, instead of returning"
    )

    @field_serializer("env")
    def _names(self, env: dict[str, str | None]) -> dict[str, None]:
        """Values may be tokens: whatever is written of a configuration (its frozen file, W&B's copy) has the names.

        What hands the values to a job is `sweep.run.environment`.
        """
        return dict.fromkeys(env)


ClusterConfig = Annotated[LocalCluster | SlurmCluster, Field(discriminator="kind")]


class LabelsConfig(Strict):
    """Majority labels of the training problems, voted by the untrained model."""

    name: str = Field(json_schema_extra=RECORDED)
    samples: int = Field(ge=1, description="responses to each problem")
    temperature: float = Field(gt=0)
    jobs: int = Field(ge=1, json_schema_extra=AT_LAUNCH, description="jobs that share the problems")
    chunk: int = Field(ge=1, json_schema_extra=AT_LAUNCH, description="problems between two writes")
    shard: int = Field(0, ge=0, json_schema_extra=AT_LAUNCH, description="which of the jobs this is; set by the plan")
    directories: tuple[str, ...] = Field(
        (), json_schema_extra=AT_LAUNCH, description="the label stages, relative to output_dir; set by the plan"
    )


class CellConfig(Strict):
    """One cell, resolved."""

    name: str | None = Field(
        None, pattern=LABEL, max_length=200, json_schema_extra=AT_LAUNCH, description="the sweep's name"
    )
    output_dir: str = Field(json_schema_extra=AT_LAUNCH)
    cache_dir: str = Field(json_schema_extra=RECORDED)
    seed: int = Field(ge=0)
    steps: int = Field(ge=1, json_schema_extra=AT_LAUNCH, description="a target: raising it extends the run")
    retrain: bool = Field(
        False, json_schema_extra=AT_LAUNCH, description="train again what an older version of the code finished"
    )
    model: ModelConfig
    prompt: PromptConfig
    tuning: TuningConfig
    reward: RewardConfig
    grading: GradingConfig
    labels: LabelsConfig
    data: DataConfig
    algorithm: AlgorithmConfig
    optimizer: OptimizerConfig
    rollout: RolloutConfig
    evaluation: EvaluationConfig
    deepspeed: DeepSpeedConfig = Field(json_schema_extra=RECORDED)
    checkpoint: CheckpointConfig = Field(json_schema_extra=RECORDED)
    checks: ChecksConfig = Field(json_schema_extra=RECORDED)
    tracking: TrackingConfig = Field(json_schema_extra=RECORDED)
    cluster: ClusterConfig = Field(json_schema_extra=RECORDED)
    resources: Resources = Field(json_schema_extra=RECORDED, description="the job's shape; by default its model's")

    @field_validator("output_dir", "cache_dir")
    @classmethod
    def _is_a_place(cls, path: str) -> str:
        """An empty path is the current directory to Python, and mostly a variable of the shell that is not set."""
        if not path.strip():
            raise ValueError("is empty; name a directory")
        try:
            Path(path).expanduser()
        except RuntimeError:
            raise ValueError("there is no user of that name here; write the whole path") from None
        return path

    @property
    def needs_reference(self) -> bool:
        """Whether the initial policy stays at hand beside the trained one."""
        return self.algorithm.kl_coefficient > 0 or self.tracking.reference_kl_every is not None

    @property
    def processes(self) -> int:
        """Processes of the job: one for each GPU, unless told otherwise."""
        return self.deepspeed.processes or max(1, self.resources.gpus)

    @property
    def nodes(self) -> int:
        """Machines the job spans."""
        if isinstance(self.cluster, LocalCluster):
            return 1
        return math.ceil(self.processes / self.cluster.processes_per_node)


# Keys that earlier versions had, and what takes their place.
REPLACED = {
    "tracking.samples_per_step": "tracking.sample_groups, which keeps all answers of so many groups of a step",
}


def of_today(values: dict) -> dict:
    """A configuration that an earlier version froze, under the keys of today."""
    tracking = dict(values.get("tracking", {}))
    if "samples_per_step" in tracking:
        tracking["sample_groups"] = min(1, tracking.pop("samples_per_step"))
        return values | {"tracking": tracking}
    return values


def known_keys(schema: type[BaseModel] = CellConfig, prefix: str = "", around: tuple = ()) -> list[str]:
    """Every dotted key the configuration may hold, for near misses in messages; rewards in rewards one level deep."""
    keys = []
    for name, field in schema.model_fields.items():
        keys.append(prefix + name)
        for part in _models_in(field.annotation):
            if part not in around:
                keys.extend(known_keys(part, f"{prefix}{name}.", (*around, part)))
    return sorted(set(keys))


def _models_in(annotation) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in getattr(annotation, "__args__", ()) for m in _models_in(part)]
