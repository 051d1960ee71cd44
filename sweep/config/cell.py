"""The typed configuration of one cell. Unknown keys, wrong types and values out of range are refused here.

A field marked RECORDED may differ between attempts of the same run. Every other field is part of the run's signature.
The schemas are pydantic models rather than OmegaConf's structured configs, because those support no ranges and no
unions, and their messages do not name the key. Validating a cell costs microseconds. `docs/configuration.md` is made
from the descriptions of the fields.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_serializer, field_validator

from models.architecture import cache_row_bytes
from models.config import AT_LAUNCH, LABEL, RECORDED, Architecture, ModelConfig, Strict, TuningConfig
from models.prompts import PromptConfig
from rewards.behaviours import BehavioursConfig
from rewards.grading import GradingConfig
from rewards.signals import RewardConfig
from sweep.config.algorithm import AlgorithmConfig
from sweep.config.data import DataConfig
from sweep.config.evaluation import EvaluationConfig
from sweep.config.speed import JobResources

DEFAULT_PROJECT = "rlvr-sweep"  # of W&B


class OptimizerConfig(Strict):
    """AdamW. The learning rate is constant after a linear warm-up."""

    learning_rate: float = Field(ge=0, description="learning rate after the warm-up; 0: a control that learns nothing")
    beta1: float = Field(ge=0, lt=1, description="decay of the running mean of gradients, each update")
    beta2: float = Field(ge=0, lt=1, description="decay of the running mean of squared gradients, each update")
    epsilon: float = Field(gt=0, description="added to the root of the mean squared gradient")
    weight_decay: float = Field(ge=0, description="share of a weight, times the learning rate, taken off each update")
    warmup_updates: int = Field(ge=0, description="updates over which the learning rate rises from 0; 0: no warm-up")
    max_grad_norm: float = Field(gt=0, description="a longer gradient is scaled down to this Euclidean norm")


class RolloutConfig(Strict):
    """The sampling of responses for training.

    The engine is not part of the signature. Engines draw other tokens from the same distribution, as other hardware
    does; the engine of every attempt is recorded.
    """

    name: Literal["auto", "transformers", "vllm"] = Field(
        json_schema_extra=RECORDED,
        description="engine; auto: vllm where it is installed and there is a GPU, else transformers",
    )
    temperature: float = Field(gt=0, description="sampling temperature; the policy that is trained has the same one")
    max_prompt_tokens: int = Field(ge=1, description="tokens; problems with longer prompts are left out and counted")
    max_response_tokens: int = Field(ge=1, description="tokens after which a response is cut off")
    batch_size: int | None = Field(
        ge=1,
        json_schema_extra=RECORDED,
        description="responses that a process decodes together; null: as many as fit into cache_gb",
    )
    cache_gb: float = Field(
        gt=0,
        json_schema_extra=RECORDED,
        description="memory of a process for keys, values and logits of those responses, in GiB",
    )

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest sequence: prompt and response."""
        return self.max_prompt_tokens + self.max_response_tokens

    def rows(self, shape: Architecture, width: int, response_tokens: int | None = None) -> int:
        """Return how many responses of a model of `shape` are decoded together.

        Args:
            width: bytes of a stored number.
            response_tokens: the most tokens of a response; None for `max_response_tokens`.
        """
        tokens = self.max_prompt_tokens + (response_tokens or self.max_response_tokens)
        row_bytes = cache_row_bytes(shape, tokens, width)
        return self.batch_size or max(1, int(self.cache_gb * 2**30 // row_bytes))


class DeepSpeedConfig(Strict):
    """The distribution of training over the processes of a job."""

    processes: int | None = Field(None, ge=1, description="processes of the job; null: one for each GPU, at least one")
    zero_stage: int = Field(
        ge=1, le=3, description="1: optimiser state is sharded over processes; 2: gradients too; 3: parameters too"
    )
    micro_batch_tokens: int = Field(
        ge=1, description="most tokens in one forward and backward pass of a process; a longer response goes alone"
    )
    gradient_checkpointing: bool = Field(
        description="whether the backward pass computes activations again instead of storing them"
    )
    offload_optimizer: bool = Field(
        description="whether the optimiser's state and step are on the host: less GPU memory, slower steps"
    )


class CheckpointConfig(Strict):
    """The intervals of checkpoints, and whether they stay once a training is done."""

    every: int = Field(ge=1, description="steps between checkpoints")
    keep: int = Field(ge=1, description="checkpoints that stay on disk, the newest ones")
    resumable: bool = Field(description="whether they stay once the run is done, so that `steps` can be raised")
    weights_every: int | None = Field(
        None, ge=1, description="steps between weights that are kept for `evaluate`; null: only the final ones are"
    )


class ChecksConfig(Strict):
    """The checks that can stop a training. The first step of every attempt is checked."""

    every: int | None = Field(None, ge=1, description="steps between further checks; null: none after the first")
    try_rewards: bool = Field(
        True,
        description="whether a launch tries functions of your own on made-up responses, and refuses those that fail",
    )
    logprob_difference: float = Field(
        gt=0, description="most that sampler's and trainer's log-probs may differ by on average, in nats a token"
    )
    stall_minutes: float = Field(
        10.0, gt=0, description="minutes that a process may stay in any phase of a step before it counts as hung"
    )
    stall_factor: float = Field(
        20.0, ge=1, description="a phase may also take so many times the longest that it took lately"
    )
    stall_hours: float = Field(1.0, gt=0, description="hours that a phase may take that was not finished once")


class TrackingConfig(Strict):
    """The W&B mirror, and the answers that are kept. A launch fixes what is left open, so that its jobs agree."""

    mode: Literal["auto", "online", "offline", "disabled"] = Field(
        description="auto: WANDB_MODE where it is set, else online with an API key and offline without"
    )
    project: str | None = Field(None, description=f"W&B project; null: WANDB_PROJECT, else {DEFAULT_PROJECT}")
    entity: str | None = Field(
        None, description="W&B user or team; null: WANDB_ENTITY, else the one that the API key belongs to"
    )
    tags: tuple[str, ...] = Field((), description="W&B tags beside model, reward and seed; none: those of WANDB_TAGS")
    base_url: str | None = Field(None, description="address of the W&B server; null: WANDB_BASE_URL, else W&B's own")
    sample_groups: int = Field(
        1, ge=0, description="groups of a step whose answers `samples.jsonl` keeps; 0: it keeps none"
    )
    samples_every: int = Field(1, ge=1, description="steps between two steps whose answers are kept")
    sample_characters: int | None = Field(
        8000, ge=2, description="characters of a kept text; a longer one loses its middle; null: texts stay whole"
    )
    reference_kl_every: int | None = Field(
        None,
        ge=1,
        description="steps between measurements of the KL to the initial model, which is loaded for it; null: none",
    )


class ThisMachine(Strict):
    """The common part of the clusters without Slurm: runs inherit the launch's environment, and have no nodes."""

    @property
    def runs_here(self) -> bool:
        """True: the runs use this machine's own memory, GPUs, files and environment."""
        return True

    @property
    def env(self) -> dict[str, str | None]:
        """Environment variables that a run gets beside those of the launch."""
        return {}


class LocalCluster(ThisMachine):
    """This machine: each run is a job of its own, and several run at once."""

    kind: Literal["local"] = Field(description="local: a queue of jobs on this machine")
    name: str = Field(pattern=LABEL, description="what messages call the cluster")
    max_parallel: int | None = Field(
        None,
        ge=1,
        description="processes at once, of all jobs; null: one for each GPU, and one for each core of those without",
    )
    threads: int | None = Field(
        None,
        ge=1,
        description="threads of a process; null: OMP_NUM_THREADS where that is set, else the cores, shared out",
    )
    share_imports: bool = Field(
        True, description="whether several jobs are copies of one process that imports for all of them; never with GPUs"
    )


class InlineCluster(ThisMachine):
    """The process of the launch itself, one run after the other: for a debugger."""

    kind: Literal["inline"] = Field(description="inline: the process of the launch, one run after the other")
    name: str = Field(pattern=LABEL, description="what messages call the cluster")

    @property
    def max_parallel(self) -> int:
        """Processes at once, as for a local cluster."""
        return 1


class SlurmCluster(Strict):
    """The options of Slurm for the jobs. What a job asks for is in `resources`."""

    kind: Literal["slurm"] = Field(description="slurm: jobs of a Slurm cluster; a launch submits them and returns")
    name: str = Field(pattern=LABEL, description="what messages call the cluster")
    partition: str | None = Field(None, description="Slurm partition; null: Slurm's default")
    account: str | None = Field(None, description="Slurm account; null: Slurm's default")
    qos: str | None = Field(None, description="Slurm quality of service; null: Slurm's default")
    constraint: str | None = Field(
        None, description="features that a node must have, as sbatch --constraint takes them; null: none"
    )
    gpu_type: str | None = Field(None, description="TYPE in --gpus-per-node=TYPE:COUNT; null: any GPU")
    gpu_option: Literal["gpus-per-node", "gres"] = Field(
        "gpus-per-node", description="the sbatch option that asks for GPUs"
    )
    processes_per_node: int = Field(8, ge=1, description="GPUs of a node; a job of more processes spans several nodes")
    cpus_per_process: int = Field(4, ge=1, description="cores of each process, and its threads")
    max_parallel: int | None = Field(None, ge=1, description="jobs of one launch at once; null: all that Slurm starts")
    signal_seconds: int = Field(
        180, ge=1, description="seconds before its time limit at which a job is told to save its state"
    )
    container: str | None = Field(
        None, description="image of each process, as srun --container-image (pyxis) takes it; null: no container"
    )
    python: str | None = Field(
        None, description="command that starts Python on a node; null: the path of the interpreter that launches"
    )
    srun: tuple[str, ...] = Field((), description="more arguments for srun")
    sbatch: dict[str, str | int | bool | None] = Field(
        {}, description="more sbatch options, named without their dashes; null leaves out one that is otherwise given"
    )
    setup: tuple[str, ...] = Field((), description="shell lines that run before the job starts, such as `module load`")
    env: dict[str, str | None] = Field(
        {},
        repr=False,
        description="environment variables of the job; a frozen configuration keeps null in place of their values",
    )
    wait: bool = Field(
        False,
        json_schema_extra=AT_LAUNCH,
        description="whether a launch stays and watches until all has ended, instead of returning",
    )

    @property
    def runs_here(self) -> bool:
        """False: the runs use the memory, GPUs, files and environment of other machines."""
        return False

    @field_serializer("env")
    def _names(self, env: dict[str, str | None]) -> dict[str, None]:
        """Leave out the values, which may be tokens: whatever is written (the frozen file, W&B's copy) has the names.

        `sweep.run.environment` passes the values to the jobs.
        """
        return dict.fromkeys(env)


ClusterConfig = Annotated[LocalCluster | InlineCluster | SlurmCluster, Field(discriminator="kind")]


class LabelsConfig(Strict):
    """Majority labels of the training problems, voted by the untrained model."""

    name: str = Field(json_schema_extra=RECORDED, description="what tables call the labels")
    samples: int = Field(ge=1, description="responses to each problem that vote")
    temperature: float = Field(gt=0, description="sampling temperature of the responses that vote")
    jobs: int = Field(ge=1, json_schema_extra=AT_LAUNCH, description="jobs that share the problems")
    chunk: int = Field(
        ge=1, json_schema_extra=AT_LAUNCH, description="problems between two writes; an interruption loses so many"
    )
    shard: int = Field(
        0, ge=0, json_schema_extra=AT_LAUNCH, description="which of the jobs this is, from 0; the plan sets it"
    )
    directories: tuple[str, ...] = Field(
        (),
        json_schema_extra=AT_LAUNCH,
        description="label stages that a cell reads, relative to output_dir; the plan sets them",
    )


class CellConfig(Strict):
    """One cell, with every value resolved."""

    name: str | None = Field(
        None,
        pattern=LABEL,
        max_length=200,
        json_schema_extra=AT_LAUNCH,
        description="name of the sweep; null: made from its axes",
    )
    output_dir: str = Field(
        json_schema_extra=AT_LAUNCH, description="directory of runs, stages, sweeps and their figures"
    )
    cache_dir: str = Field(
        json_schema_extra=RECORDED, description="directory of minis that are made from other recipes than the shipped"
    )
    seed: int = Field(ge=0, description="reaches the order of data, sampling, rewards with chance, and torch")
    steps: int = Field(
        ge=1,
        json_schema_extra=AT_LAUNCH,
        description="rollouts that are trained on, as a target: raising it goes on with the run",
    )
    retrain: bool = Field(
        False,
        json_schema_extra=AT_LAUNCH,
        description="whether to train again what an older version of the code finished",
    )
    model: ModelConfig = Field(description="the model that is trained; an axis of every sweep")
    prompt: PromptConfig = Field(description="how a problem is put to the model")
    tuning: TuningConfig = Field(description="which weights are trained")
    reward: RewardConfig = Field(description="what a response is rewarded for; an axis of every sweep")
    grading: GradingConfig = Field(description="how answers are found in responses and compared")
    behaviours: BehavioursConfig = Field(
        BehavioursConfig(), json_schema_extra=RECORDED, description="what is looked for in the texts of responses"
    )
    labels: LabelsConfig = Field(description="votes of the untrained model, for rewards that need labels")
    data: DataConfig = Field(description="problems to train on and to test with")
    algorithm: AlgorithmConfig = Field(description="the objective")
    optimizer: OptimizerConfig = Field(description="how weights follow gradients")
    rollout: RolloutConfig = Field(description="how responses are sampled for training")
    evaluation: EvaluationConfig = Field(description="how weights are put to the test")
    deepspeed: DeepSpeedConfig = Field(
        json_schema_extra=RECORDED, description="how training is spread over the processes of a job"
    )
    checkpoint: CheckpointConfig = Field(json_schema_extra=RECORDED, description="how often a run is saved")
    checks: ChecksConfig = Field(json_schema_extra=RECORDED, description="what training is stopped for")
    tracking: TrackingConfig = Field(
        json_schema_extra=RECORDED, description="the W&B mirror, and the answers that are kept"
    )
    cluster: ClusterConfig = Field(json_schema_extra=RECORDED, description="where jobs run")
    resources: JobResources = Field(
        json_schema_extra=RECORDED, description="what the job asks for; by default what its model's file says"
    )

    @field_validator("output_dir", "cache_dir")
    @classmethod
    def _is_a_place(cls, path: str) -> str:
        """Refuse an empty path: to Python it is the current directory; mostly a shell variable was not set."""
        if not path.strip():
            raise ValueError("is empty; name a directory")
        try:
            Path(path).expanduser()
        except RuntimeError:
            raise ValueError("there is no user of that name here; write the whole path") from None
        return path

    @field_validator("cache_dir")
    @classmethod
    def _is_seen_from_where_it_was_typed(cls, path: str) -> str:
        """Make the path absolute, because jobs work in another directory than the launch."""
        return path if path.startswith("~") else str(Path(path).absolute())

    @property
    def longest_tokens(self) -> int:
        """Tokens of the longest sequence that is ever sampled: prompt and response, in training or evaluation."""
        limits = [benchmark.max_response_tokens or 0 for benchmark in self.evaluation.benchmarks.values()]
        return self.rollout.max_prompt_tokens + max(self.rollout.max_response_tokens, *limits)

    @property
    def needs_reference(self) -> bool:
        """True if the initial policy is needed beside the trained one."""
        return self.algorithm.kl_coefficient > 0 or self.tracking.reference_kl_every is not None

    @property
    def processes(self) -> int:
        """Processes of the job: `deepspeed.processes` if it is set, else one for each GPU, at least one."""
        return self.deepspeed.processes or max(1, self.resources.gpus)

    @property
    def processes_key(self) -> str:
        """The key that sets the number of processes."""
        return "deepspeed.processes" if self.deepspeed.processes else "resources.gpus"

    @property
    def nodes(self) -> int:
        """Machines that the job spans."""
        if not isinstance(self.cluster, SlurmCluster):
            return 1
        return math.ceil(self.processes / self.cluster.processes_per_node)

    @property
    def slurm(self) -> SlurmCluster:
        """The cluster of a cell whose jobs run on Slurm.

        Raises:
            TypeError: they run elsewhere.
        """
        if not isinstance(self.cluster, SlurmCluster):
            raise TypeError(f"cluster={self.cluster.name} is no Slurm cluster")
        return self.cluster
