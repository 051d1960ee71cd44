"""GPUs that do not exist: as records, and as an nvidia-smi that lists them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from sweep.dispatch.devices import Devices
from sweep.plan.machine import Gpu

FIELDS = ("index", "uuid", "memory.total", "memory.free", "driver_version", "mig.mode.current", "name")


def pretend_gpus(count: int, gib: int = 80, free_gib: int | None = None, of: str = "0000") -> tuple[Gpu, ...]:
    """`count` GPUs of `gib` GiB each; `of`: hexadecimal digits that tell their UUIDs from those of other tests."""
    free = (gib if free_gib is None else free_gib) * 2**30
    return tuple(
        Gpu(str(i), f"GPU-{i:08x}-{of}", "NVIDIA H100 80GB HBM3", gib * 2**30, free, "570.86.15") for i in range(count)
    )


def nvidia_smi(directory: Path, gpus: Sequence[Gpu], mig: dict[str, list[str]] | None = None) -> Path:
    """Write an nvidia-smi into a new directory, for PATH, and return that directory.

    `mig`: the ids of the parts of those GPUs (by UUID) that are divided.
    """
    rows, parts = "", ""
    for gpu in gpus:
        divided = "Enabled" if mig and gpu.uuid in mig else "Disabled"
        sizes = [str(size // 2**20) for size in (gpu.total or 0, gpu.free or 0)]
        rows += ", ".join([gpu.visible, gpu.uuid, *sizes, gpu.driver, divided, gpu.name]) + "\n"
        parts += f"GPU {gpu.visible}: {gpu.name} (UUID: {gpu.uuid})\n"
        for number, part in enumerate((mig or {}).get(gpu.uuid, [])):
            parts += f"  MIG 3g.40gb     Device  {number}: (UUID: {part})\n"
    directory.mkdir()
    program = directory / "nvidia-smi"
    query = f"--query-gpu={','.join(FIELDS)} --format=csv,noheader,nounits"
    program.write_text(
        f"#!/bin/sh\ncase \"$*\" in\n'{query}') cat <<'END'\n{rows}END\n;;\n-L) cat <<'END'\n{parts}END\n;;\n"
        '*) echo "Field is not a valid field to query." ; exit 2 ;;\nesac\n'
    )
    os.chmod(program, 0o755)
    return directory


def have(monkeypatch: pytest.MonkeyPatch, *gpus: Gpu, visible: str | None = None) -> None:
    """Give this machine these GPUs for a test, under a value of CUDA_VISIBLE_DEVICES; None: it is not set."""
    monkeypatch.setattr("sweep.plan.machine._machine", lambda: tuple((gpu,) for gpu in gpus))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)


def killed(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


def indices(leases) -> str | None:
    return leases and ",".join(lease.gpu.visible for lease in leases)


def give_back(leases) -> None:
    for lease in leases:
        lease.close()


def takes(devices: Devices, count: int) -> str | None:
    """Which GPUs a launch gets. It gives them back at once."""
    taken = devices.take(count)
    if taken is None:
        devices.release()
        return None
    give_back(taken)
    return indices(taken)
