"""The schema of what `plan` predicts time from. No result depends on it."""

from __future__ import annotations

from pydantic import Field, field_validator

from models.config import Resources, Strict
from sweep.config.devices import GPUS, gpu_kind


class Speed(Strict):
    """The assumptions behind predicted times. A measured run of the same shape takes the place of most of them."""

    mean_response_share: float = Field(
        0.5, gt=0, le=1, description="mean length of a response, as a share of the most tokens that it may have"
    )
    mean_prompt_share: float = Field(
        0.25, gt=0, le=1, description="mean length of a prompt, as a share of `rollout.max_prompt_tokens`"
    )
    bandwidth_gbs: float | None = Field(
        None, gt=0, description="memory bandwidth of each process in GB/s; null: its GPU's, or 10 for each of its cores"
    )
    sampling_efficiency: float = Field(
        0.5, gt=0, le=1, description="share of the peak, of bandwidth and of FLOP/s, that sampling reaches"
    )
    update_efficiency: float | None = Field(
        None, gt=0, le=1, description="share of peak FLOP/s that an update reaches; null: 0.33 on a GPU, 0.5 on a CPU"
    )
    layer_seconds: float | None = Field(
        None,
        gt=0,
        description="seconds in which the host prepares one layer of one pass; null: 0.0011 on a GPU (sampling with "
        "vLLM: 0.00005), 0.0015 on a CPU",
    )
    start_seconds: float | None = Field(
        None, gt=0, description="seconds from a job's start to its first step; null: 60 with a GPU, 10 without"
    )
    disk_gbs: float = Field(1.0, gt=0, description="speed at which checkpoints are written and weights are read, GB/s")
    link_gbs: float | None = Field(
        None, gt=0, description="speed between the processes of a job, in GB/s; null: 100 with GPUs, 1 without"
    )


class JobResources(Resources):
    """What a job asks for, and what its time is predicted from."""

    gpu: str | None = Field(
        None,
        description="kind of GPU that time is predicted for, such as H100; null: `cluster.gpu_type`, this machine's, "
        "or one that has `gpu_memory_gb`",
    )
    speed: Speed = Field(Speed(), description="what predicted times assume")

    @field_validator("gpu")
    @classmethod
    def _is_known(cls, gpu: str | None) -> str | None:
        """Refuse a number, and a kind of GPU that no table knows, because nothing could be predicted for it."""
        if gpu is not None and gpu.isdecimal():
            raise ValueError("names a kind of GPU; how many there are is said by resources.gpus")
        if gpu is not None and gpu_kind(gpu) is None:
            raise ValueError(f"{gpu!r} is no GPU that time can be predicted for; choose one of {', '.join(GPUS)}")
        return gpu
