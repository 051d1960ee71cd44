"""The code and the packages that a run used."""

from __future__ import annotations

import glob
import hashlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from sweep import __version__

PACKAGES = ("torch", "transformers", "deepspeed", "datasets", "wandb", "hydra-core", "omegaconf", "submitit", "numpy")
CODE = ("sweep", "models", "rewards")
WEIGHTS = "models/mini/weights"
SNAPSHOT_COMMIT = "COMMIT"
ROOT = Path(__file__).resolve().parents[2]


def code_files(root: Path = ROOT) -> list[Path]:
    """Return the Python files a job can import and the minis' weights, relative to `root`, in a fixed order."""
    weights = (f for f in (root / WEIGHTS).rglob("*") if f.is_file())
    code = (f for package in CODE for f in (root / package).rglob("*.py"))
    return sorted(f.relative_to(root) for f in (*code, *weights))


def code_hash(root: Path = ROOT) -> str:
    """Return twelve hex digits that change when any of these files does."""
    digest = hashlib.sha256()
    for file in code_files(root):
        digest.update(str(file).encode() + b"\0" + (root / file).read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def git_commit(root: Path = ROOT) -> str | None:
    """Return the commit of the code at `root`, with `-dirty` if tracked files differed; None where it tracks none.

    A snapshot of the code stores its commit in a file, because it may lie inside a checkout that has changed since.
    Installed code may lie inside the repository of another project, whose commit would say nothing.
    """
    if (root / SNAPSHOT_COMMIT).exists():
        return (root / SNAPSHOT_COMMIT).read_text() or None
    is_tracked = _git(root, "ls-files", "--error-unmatch", *CODE) is not None
    return _git(root, "describe", "--always", "--abbrev=40", "--dirty") if is_tracked else None


def _git(root: Path, *arguments: str) -> str | None:
    """Return the output of a git command about `root`; None if it fails, or if git is not installed."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True)
    except (FileNotFoundError, PermissionError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def environment() -> dict:
    """Return versions of this project, of Python and of the packages that matter, and facts about the machine."""
    return {
        "version": __version__,
        "python": sys.version.split()[0],
        "packages": {name: _version(name) for name in PACKAGES},
        "host": platform.node(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": int(threads) if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdigit() else None,
        "processor": _named("/proc/cpuinfo", "model name") or platform.processor(),
        "gpus": [_named(file, "Model") for file in sorted(glob.glob("/proc/driver/nvidia/gpus/*/information"))],
    }


def _named(file: str, key: str) -> str:
    """Return the value of the first line `key: value` in a file of Linux; "" if there is none."""
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
