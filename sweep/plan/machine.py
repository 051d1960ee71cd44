"""Measure this machine: its GPUs, and how many processes of a sweep it runs at once."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from sweep.config.cell import CellConfig, ClusterConfig, InlineCluster, LocalCluster

VISIBLE = "CUDA_VISIBLE_DEVICES"
ASKED = ("index", "uuid", "memory.total", "memory.free", "driver_version", "mig.mode.current", "name")
MIG_LINE = re.compile(r"\s+MIG (?P<profile>\S+)\s.*\(UUID: (?P<uuid>MIG-[^)]+)\)")
ANSWER_SECONDS = 60.0  # nvidia-smi takes seconds for each GPU whose driver is not kept loaded


@dataclass(frozen=True)
class Gpu:
    """A device that a job may see: a whole GPU, or a MIG device, which is a part of one.

    visible: the entry that stands for it in CUDA_VISIBLE_DEVICES (its index, its UUID or a MIG id), as the shell gives
    it; the index where the shell gives none. uuid: identifies the device on this machine, however the shell names it.
    total, free: bytes of its memory, free when nvidia-smi was asked; None for a MIG device, and where the GPU shares
    the memory of the machine. driver: the version of NVIDIA's driver.
    """

    visible: str
    uuid: str
    name: str
    total: int | None
    free: int | None
    driver: str

    @property
    def is_mig(self) -> bool:
        """True if it is a part of a GPU. CUDA gives a process no more than one of these."""
        return self.uuid.startswith("MIG-")


def gpus() -> tuple[Gpu, ...]:
    """Return the devices that a job may see, in the order in which CUDA numbers them; empty if there are none.

    The whole machine is asked once for each process, so that free memory is that of the first call.
    """
    return visible_gpus(_machine(), os.environ.get(VISIBLE))


def why_no_gpu() -> str:
    """Return in words why a job sees no GPU here: there is none, or CUDA_VISIBLE_DEVICES names none that is here."""
    text, there = os.environ.get(VISIBLE), len(_machine())
    if text is None or not there:
        return "this machine has no GPU"
    return f"{VISIBLE}={text or repr(text)} names none of the GPUs here (there {'is' if there == 1 else 'are'} {there})"


def visible_gpus(machine: Sequence[Sequence[Gpu]], text: str | None) -> tuple[Gpu, ...]:
    """Return the devices that CUDA shows under a value of CUDA_VISIBLE_DEVICES; None: the variable is not set.

    As in CUDA, entries after the first one that names no device do not count, and a device that is named twice hides
    all. An index counts GPUs as nvidia-smi does, which is CUDA's order under CUDA_DEVICE_ORDER=PCI_BUS_ID.

    Args:
        machine: for each GPU in nvidia-smi's order: itself, then its MIG devices if it is divided into such.
    """
    if text is None:
        return tuple(device for whole, *parts in machine for device in parts or [whole])
    found: list[Gpu] = []
    for entry in text.split(","):
        device = _named(entry.strip(), machine)
        if device is None:
            break
        if any(device.uuid == other.uuid for other in found):
            return ()
        found.append(device)
    return tuple(found)


def _named(entry: str, machine: Sequence[Sequence[Gpu]]) -> Gpu | None:
    """Return the device that an entry of CUDA_VISIBLE_DEVICES names; None if there is none or more than one."""
    if entry.isdecimal():
        if int(entry) >= len(machine):
            return None
        whole, *parts = machine[int(entry)]
        return parts[0] if parts else replace(whole, visible=entry)  # of a divided GPU, CUDA shows the first part
    if not entry.startswith(("GPU-", "MIG-")):
        return None
    known = [
        (device, parts) for whole, *parts in machine for device in (whole, *parts) if device.uuid.startswith(entry)
    ]
    if len(known) == 1:
        device, parts = known[0]
        return parts[0] if parts and not device.is_mig else replace(device, visible=entry)
    if entry.startswith("MIG-") and not known:  # older drivers name the parts otherwise than they list them
        driver = machine[0][0].driver if machine else ""
        return Gpu(entry, entry, "MIG device", None, None, driver)
    return None


@cache
def _machine() -> tuple[tuple[Gpu, ...], ...]:
    """Return, for each GPU in nvidia-smi's order, itself and then its MIG devices; empty if there is no nvidia-smi."""
    answer = _nvidia_smi(f"--query-gpu={','.join(ASKED)}", "--format=csv,noheader,nounits")
    rows = [line.split(", ", len(ASKED) - 1) for line in answer.splitlines()]
    rows = [row for row in rows if len(row) == len(ASKED) and row[0].strip().isdecimal()]
    parts = _mig_devices() if any(row[5].strip() == "Enabled" for row in rows) else {}
    found = []
    for index, uuid, total, free, driver, _, name in (map(str.strip, row) for row in rows):
        whole = Gpu(index, uuid, name, _bytes(total), _bytes(free), driver)
        divided = [Gpu(mig, mig, f"{name} MIG {profile}", None, None, driver) for mig, profile in parts.get(uuid, [])]
        found.append((whole, *divided))
    return tuple(found)


def _mig_devices() -> dict[str, list[tuple[str, str]]]:
    """Return the id and the profile of each MIG device, by the UUID of its GPU."""
    found: dict[str, list[tuple[str, str]]] = {}
    uuid = ""
    for line in _nvidia_smi("-L").splitlines():
        if whole := re.match(r"GPU \d+: .*\(UUID: (GPU-[^)]+)\)", line):
            uuid = whole[1]
        elif part := MIG_LINE.match(line):
            found.setdefault(uuid, []).append((part["uuid"], part["profile"]))
    return found


def _nvidia_smi(*arguments: str) -> str:
    """Return what nvidia-smi prints; "" where it is missing or does not answer."""
    try:
        done = subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except (OSError, subprocess.TimeoutExpired):  # it may also be of another processor, or not be for this user
        return ""
    return done.stdout


def _bytes(mebibytes: str) -> int | None:
    return int(mebibytes) * 2**20 if mebibytes.isdecimal() else None


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices_of(config: CellConfig) -> int:
    """Return how many GPUs a job takes on this machine: one a process, or none if it asks for none or none are here."""
    return config.processes if config.resources.gpus and gpus() else 0


def usable_by(width: int, devices: Sequence[Gpu]) -> list[Gpu]:
    """Return the devices that a job may have which takes `width` of them: a job of several takes no MIG device."""
    return [device for device in devices if width == 1 or not device.is_mig]


def local_processes(cluster: ClusterConfig) -> int:
    """Return how many processes without a GPU run at once here: `max_parallel` if set, else one for each core."""
    return cluster.max_parallel or cores()


def jobs_at_once(config: CellConfig) -> int:
    """Return how many jobs of this shape run at once here; a job that is wider than the machine runs alone."""
    room = local_processes(config.cluster)
    if devices_of(config):
        usable = len(usable_by(config.processes, gpus()))
        room = min(usable, config.cluster.max_parallel or usable)
    return max(1, room // config.processes)


def processes_at_once(configs: Sequence[CellConfig], cluster: ClusterConfig) -> int:
    """Return how many processes of these jobs run at once here, at most."""
    with_gpus = min(sum(map(devices_of, configs)), len(gpus()))
    without = sum(config.processes for config in configs if not devices_of(config))
    both = with_gpus + min(without, local_processes(cluster))
    return max(1, min(both, cluster.max_parallel or both))


def threads_of_a_process(configs: Sequence[CellConfig], cluster: LocalCluster | InlineCluster) -> int:
    """Return the threads of each process of these jobs, which run here."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    share = int(asked) if asked.isdigit() else cores() // processes_at_once(configs, cluster)
    given = cluster.threads if isinstance(cluster, LocalCluster) else None
    return given or max(1, share)
