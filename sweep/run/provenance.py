"""Which code and which packages a run used."""

from __future__ import annotations

import glob
import hashlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

PACKAGES = ("torch", "transformers", "deepspeed", "datasets", "wandb", "hydra-core", "omegaconf", "submitit", "numpy")
CODE = ("sweep", "models", "rewards")
WEIGHTS = "models/mini/weights"
SNAPSHOT_COMMIT = "COMMIT"
ROOT = Path(__file__).resolve().parents[2]


def code_files(root: Path = ROOT) -> list[Path]:
    """The Python files a job can import and the minis' weights, relative to `root`, in a fixed order."""
    weights = (f for f in (root / WEIGHTS).rglob("*") if f.is_file())
    code = (f for package in CODE for f in (root / package).rglob("*.py"))
    return sorted(f.relative_to(root) for f in (*code, *weights))


def code_hash(root: Path = ROOT) -> str:
    """Twelve hex digits that change when any of the files does."""
    digest = hashlib.sha256()
    for file in code_files(root):
        digest.update(str(file).encode() + b"\0" + (root / file).read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def git_commit(root: Path = ROOT) -> str | None:
    """The commit of the code at `root`, with `-dirty` where tracked files differed; None outside a checkout.

    A snapshot carries it along: it may lie inside a checkout that has moved on.
    """
    if (root / SNAPSHOT_COMMIT).exists():
        return (root / SNAPSHOT_COMMIT).read_text() or None
    try:
        head = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty"], capture_output=True, text=True
        )
    except FileNotFoundError:
        return None
    return head.stdout.strip() if head.returncode == 0 else None


def environment() -> dict:
    """Versions of Python and the packages that matter, and the machine."""
    return {
        "python": sys.version.split()[0],
        "packages": {name: _version(name) for name in PACKAGES},
        "host": platform.node(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "processor": _named("/proc/cpuinfo", "model name") or platform.processor(),
        "gpus": [_named(file, "Model") for file in sorted(glob.glob("/proc/driver/nvidia/gpus/*/information"))],
    }


def _named(file: str, key: str) -> str:
    """The value of the first line `key: value` of a file of Linux; "" where there is none."""
    try:
        lines = Path(file).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
