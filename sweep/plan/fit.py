"""Check whether a cell fits into the shape that it asks for, and into the machine that it would run on."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Sequence

import psutil

from models.architecture import read_architecture
from sweep.config.cell import CellConfig
from sweep.config.faults import Labelled, plural, say_once
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


def cells_without_gpus(cells: Sequence[Labelled]) -> list[str]:
    """Return a note for the cells that ask for GPUs and would run on this machine without any."""
    torch = importlib.metadata.version("torch") if machine.gpus() else ""
    if torch and not torch.endswith("+cpu"):
        return []
    unused = f"torch {torch} is built without CUDA (`make gpu` brings another)" if torch else machine.why_no_gpu()
    why = f"{unused}: it runs on the CPU, slowly"
    asked = [(cell.label, cell.config.resources.gpus) for cell in cells if cell.config.cluster.runs_here]
    return say_once((label, f"asks for {plural(gpus, 'GPU')}, and {why}") for label, gpus in asked if gpus)


def cells_without_vllm(cells: Sequence[Labelled]) -> list[str]:
    """Return a note for the cells that vLLM would sample for on the GPUs of this machine, if it were installed."""
    here = [cell for cell in cells if cell.config.cluster.runs_here and machine.devices_of(cell.config)]
    engines = {_with_engine(cell.config, True).rollout.name for cell in here if cell.config.rollout.name == "auto"}
    if "transformers" not in engines:
        return []
    return [
        "rollout=auto: vLLM is not installed here, so that responses are sampled with transformers, which is slower; "
        "`make gpu` brings it, then launch with .venv-gpu/bin/python"
    ]


def _local_faults(config: CellConfig, cells: int, trains: bool) -> list[str]:
    devices = machine.devices_of(config)
    config = _with_engine(config, devices > 0)
    if config.rollout.name == "vllm" and (fault := _vllm_fault(config, devices > 0)):
        return [fault]
    if devices:
        return _gpu_faults(config, devices, trains)
    at_once = max(config.processes, min(machine.local_processes(config.cluster), cells * config.processes))
    total = psutil.virtual_memory().total
    why = "the cell asks for no GPU" if machine.gpus() else machine.why_no_gpu()
    processes = "1 process" if at_once == 1 else f"{at_once} processes"
    where = f"{why}, and {human_bytes(total)} of memory for {processes} at once"
    budget = total * HOST_SHARE / at_once
    if not trains:
        return _sampling_faults(config, budget, False, where)
    return _memory_faults(config, budget, False, where, may_run_alone=at_once > config.processes)


def _with_engine(config: CellConfig, on_gpu: bool) -> CellConfig:
    """Return the configuration with the engine that `rollout=auto` is on this machine."""
    if config.rollout.name != "auto":
        return config
    engine = "vllm" if on_gpu and importlib.util.find_spec("vllm") is not None else "transformers"
    return config.model_copy(update={"rollout": config.rollout.model_copy(update={"name": engine})})


def _gpu_faults(config: CellConfig, devices: int, trains: bool) -> list[str]:
    """Return why this machine's GPUs cannot run a cell that takes so many of them."""
    usable = machine.usable_by(devices, machine.gpus())
    key = config.processes_key
    if not usable:
        parts = "this machine's are parts of GPUs (MIG), of which CUDA gives a process one and NCCL joins none"
        return [f"asks for {devices} GPUs, and {parts}; set {key}=1"]
    if devices > len(usable):
        fitting = _most_processes(config, len(usable))
        return [f"asks for {devices} GPUs and this machine has {len(usable)}; set {key}={fitting}"]
    sizes = [gpu.total for gpu in usable if gpu.total is not None]
    if not sizes:
        return []
    budget, where = min(sizes) * GPU_SHARE, f"{human_bytes(min(sizes))} a GPU of this machine"
    return _memory_faults(config, budget, True, where) if trains else _sampling_faults(config, budget, True, where)


def _most_processes(config: CellConfig, most: int) -> int:
    """Return the most processes, up to `most`, over which a cell's prompts and updates divide."""
    prompts, responses = config.algorithm.prompts_per_step, config.algorithm.responses_per_update
    return max(n for n in range(1, most + 1) if prompts % n == responses % n == 0)


def _vllm_fault(config: CellConfig, on_gpu: bool) -> str | None:
    if importlib.util.find_spec("vllm") is None:
        return (
            "rollout=vllm: it is not installed here; choose rollout=transformers, or type `make gpu` and launch with "
            ".venv-gpu/bin/python, or on a machine without GPUs `make vllm-cpu` and launch with .venv-vllm/bin/python"
        )
    if not on_gpu and not _vllm_is_for_cpus():
        return (
            "rollout=vllm: the vLLM that is installed here samples on GPUs, and the cell has none; choose "
            "rollout=auto, set resources.gpus=1 where there is one, or type `make vllm-cpu` and launch with "
            ".venv-vllm/bin/python"
        )
    shape = read_architecture(config.model)
    if not on_gpu and shape and shape.head_dim not in VLLM_CPU_HEAD_SIZES:
        sizes = ", ".join(map(str, VLLM_CPU_HEAD_SIZES))
        return (
            f"rollout=vllm: without a GPU vLLM takes attention heads of {sizes}, and this model's have "
            f"{shape.head_dim}; choose rollout=transformers"
        )
    return None


def _vllm_is_for_cpus() -> bool:
    """Whether the vLLM that is installed was built for CPUs, which the name or the version of its package says."""
    try:
        return "cpu" in importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        return True  # the module comes from the package `vllm-cpu`


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
