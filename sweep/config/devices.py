"""What GPUs can do at most, from the makers' data sheets. Pure tables."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """A kind of GPU. tflops: dense peak in bfloat16, TFLOP/s. bandwidth: of its memory, in TB/s."""

    tflops: float
    bandwidth: float


# By what torch or Slurm calls the device; the first whose name stands in it as a word.
GPUS = {
    "B200": Device(2250.0, 8.0),
    "GH200": Device(989.0, 4.0),
    "H200": Device(989.0, 4.8),
    "H100 PCIe": Device(756.0, 2.0),
    "H100 NVL": Device(835.0, 3.9),
    "H100": Device(989.0, 3.35),
    "A100": Device(312.0, 2.0),
    "A800": Device(312.0, 2.0),
    "L40S": Device(362.0, 0.864),
    "L40": Device(181.0, 0.864),
    "L4": Device(121.0, 0.3),
    "A10G": Device(70.0, 0.6),
    "A10": Device(125.0, 0.6),
    "A40": Device(149.7, 0.696),
    "A6000": Device(154.8, 0.768),
    "RTX 4090": Device(165.2, 1.008),
    "RTX 3090": Device(71.0, 0.936),
}
# The kind that time is predicted for where only the memory of a GPU is known: the first that has as much, in GiB.
BY_MEMORY = {24: "L4", 48: "L40S", 80: "H100", 141: "H200", 192: "B200"}


def gpu_kind(name: str) -> str | None:
    """Return the kind that a device's name contains, whatever its case; None if the table has none.

    Words are parted by spaces, dashes or, as in what Slurm finds by itself (`nvidia_a100_80gb_pcie`), by underscores.
    """
    words = f" {re.sub('[^A-Za-z0-9]+', ' ', name).lower()} "
    return next((kind for kind in GPUS if f" {kind.lower()} " in words), None)


def kind_of_memory(gib: float | None) -> str:
    """Return the kind of GPU that is assumed where only its memory in GiB is known; without that, an H100."""
    if gib is None:
        return "H100"
    return next((kind for memory, kind in BY_MEMORY.items() if gib <= memory), "B200")


def peak_tflops(device_name: str | None, dtype: str) -> float | None:
    """Return the peak of a GPU in bfloat16; None for unknown devices, for CPUs and for other dtypes."""
    kind = gpu_kind(device_name) if device_name else None
    return GPUS[kind].tflops if kind and dtype == "bfloat16" else None
