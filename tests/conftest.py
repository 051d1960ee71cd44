"""Fixtures that any test may ask for, and the order in which workers take tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from filelock import FileLock

from helpers.constants import ROOT
from helpers.pretend_devices import pretend_gpus
from helpers.quick import is_quick
from helpers.shells import Shell, SlurmShell
from helpers.slurm_queue import ask_slurm
from helpers.workers import WholeUnits, place_of
from sweep.plan.machine import Gpu

# The settings of the machine that runs the tests count in none of them, nor in what they start.
os.environ["RLVR_SWEEP_LOCAL"] = "null"
os.environ["XDG_CONFIG_HOME"] = str(ROOT / ".pytest_cache" / "config")


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory) -> Path:
    """Mini models of this test session."""
    return tmp_path_factory.mktemp("minis")


@pytest.fixture
def shell(tmp_path, cache_dir) -> Shell:
    return Shell(tmp_path, cache_dir)


@pytest.fixture
def file(tmp_path):
    """Writes a file of rows (or the text, or the bytes that are given) and returns its path."""

    def write(content, name: str = "problems.jsonl") -> Path:
        text = "".join(json.dumps(row) + "\n" for row in content) if isinstance(content, list) else content
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / name

    return write


@pytest.fixture
def slurm(tmp_path, tmp_path_factory, cache_dir):
    """A shell on a real Slurm, for one test at a time; what the test leaves in the queue is cancelled."""
    if not os.environ.get("SLURM_CONF") or shutil.which("sbatch") is None:
        pytest.skip("no Slurm here: `tests/slurm/up.sh DIR`, then SLURM_CONF=DIR/slurm.conf")
    with FileLock(tmp_path_factory.getbasetemp().parent / "slurm.lock"):  # some tests stop its nodes
        yield SlurmShell(tmp_path, cache_dir)
        ours = [line.split()[0] for line in ask_slurm("squeue", "--me", "-h", "-o", "%A %Z") if str(tmp_path) in line]
        if ours:
            subprocess.run(["scancel", *ours], check=True)


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch, tmp_path_factory):
    """No test reaches for a network or an account of the person who runs it."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    empty = tmp_path_factory.mktemp("home") / "netrc"
    empty.touch()
    monkeypatch.setenv("NETRC", str(empty))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, and mark tests that start no process and plan no sweep as quick."""
    for item in items:
        if is_quick(item):
            item.add_marker(pytest.mark.quick)
    items.sort(key=lambda item: place_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log) -> WholeUnits:
    """Workers take whole files, and one of them all tests on Slurm."""
    return WholeUnits(config, log)


@pytest.fixture(scope="module")
def composed():
    """A cell with keys of its tracking section changed; composed once, since that takes longer than the tests."""
    from sweep.plan.compose import compose_cells  # not for every test that comes by here

    (cell,) = compose_cells(["cluster=slurm"])

    def composed(env: dict[str, str] | None = None, **tracking):
        cluster = cell.config.cluster.model_copy(update={"env": env or {}})
        changed = cell.config.tracking.model_copy(update=tracking)
        return cell.config.model_copy(update={"tracking": changed, "cluster": cluster, "name": "sweep"})

    return composed


@pytest.fixture
def four_gpus() -> tuple[Gpu, ...]:
    """Four GPUs that no other test has."""
    return pretend_gpus(4, of=uuid4().hex[:12])
