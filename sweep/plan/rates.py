"""Find the rates that a cell's time is predicted from: stated in `resources.speed`, or assumed of its device."""

from __future__ import annotations

import importlib.util

from sweep.config.cell import CellConfig, SlurmCluster
from sweep.config.devices import GPUS, gpu_kind, kind_of_memory
from sweep.plan.pace import Rates

GPU_UPDATE, CPU_UPDATE = 0.33, 0.5  # of peak FLOP/s, recomputation counted as work
# Seconds in which the host prepares a layer.
GPU_LAYER, VLLM_LAYER, CPU_LAYER = 1.1e-3, 5e-5, 1.5e-3
GPU_START, CPU_START = 60.0, 10.0
GPU_LINK, CPU_LINK = 100.0, 1.0  # GB/s
CORE_TFLOPS = {"float32": 0.09, "bfloat16": 0.2}  # of one core; bfloat16 with instructions of its own
CORE_BANDWIDTH = 10.0  # GB/s
FLOAT32_SHARE = 1 / 15  # of a GPU's bfloat16 peak, because float32 takes no tensor cores


def rates(config: CellConfig, cores: int, here: str | None = None) -> Rates:
    """Return the rates of each process of a cell's job.

    A cell that asks for GPUs takes the cores where it runs on a machine that has none.

    Args:
        cores: that a process has, which count where it has no GPU.
        here: the name of this machine's GPUs; None if there are none.
    """
    speed, dtype = config.resources.speed, config.model.dtype
    kind, why = _kind(config, here) if _on_gpu(config, here) else (None, "")
    on_gpu = kind is not None
    if kind:
        device = kind + (f" ({why})" if why else "")
        tflops = GPUS[kind].tflops * (FLOAT32_SHARE if dtype == "float32" else 1.0)
        bandwidth = GPUS[kind].bandwidth * 1e3
    else:
        device = f"{cores} {'core' if cores == 1 else 'cores'} a process"
        tflops, bandwidth = CORE_TFLOPS[dtype] * cores, CORE_BANDWIDTH * cores
    engine = VLLM_LAYER if takes_vllm(config) else GPU_LAYER
    return Rates(
        device=device,
        kind=kind,
        cores=cores,
        assumed=bool(why),
        flops=(config.resources.peak_tflops or tflops) * 1e12,
        bandwidth=(speed.bandwidth_gbs or bandwidth) * 1e9,
        sampling=speed.sampling_efficiency,
        updating=speed.update_efficiency or (GPU_UPDATE if on_gpu else CPU_UPDATE),
        layer=speed.layer_seconds or (engine if on_gpu else CPU_LAYER),
        update_layer=speed.layer_seconds or (GPU_LAYER if on_gpu else CPU_LAYER),  # whatever samples, torch updates
        ahead=on_gpu,
        start=speed.start_seconds or (GPU_START if on_gpu else CPU_START),
        disk=speed.disk_gbs * 1e9,
        link=(speed.link_gbs or (GPU_LINK if on_gpu else CPU_LINK)) * 1e9,
    )


def _on_gpu(config: CellConfig, here: str | None) -> bool:
    asked = config.resources
    return asked.gpus > 0 and (asked.gpu is not None or here is not None or not config.cluster.runs_here)


def takes_vllm(config: CellConfig) -> bool:
    """Return whether a cell with GPUs samples with vLLM: for `auto` only if it is installed where the cell runs."""
    if config.rollout.name != "auto" or not config.cluster.runs_here:
        return config.rollout.name != "transformers"
    return importlib.util.find_spec("vllm") is not None


def _kind(config: CellConfig, here: str | None) -> tuple[str, str]:
    """Return the kind of GPU of a cell, and a remark if it is only assumed; else ""."""
    gpu_type = config.cluster.gpu_type if isinstance(config.cluster, SlurmCluster) else None
    for name in (config.resources.gpu, gpu_type, here if config.cluster.runs_here else None):
        if name and (kind := gpu_kind(name)):
            return kind, ""
    unknown = f", as nothing is known of {here}" if here and config.cluster.runs_here else ""
    return kind_of_memory(config.resources.gpu_memory_gb), f"assumed{unknown}; resources.gpu says another"
