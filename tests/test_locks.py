"""The locks agree, and `make gpu` makes an environment from its own, or says why it does not."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from packaging.requirements import Requirement

from helpers.constants import ROOT
from sweep.doctor import packages

BASE, GPU = ROOT / "requirements.lock", ROOT / "requirements-gpu.lock"
# A Python that makes environments with copies of itself, and says what it was asked for.
PYTHON = """#!/bin/sh
echo "asked for: $*"
case "$*" in
    "-m venv "*) mkdir -p .venv-gpu/bin && cp "$0" .venv-gpu/bin/python ;;
    *install/cuda.py) exit "$OF_THE_CHECK" ;;
esac
"""


def requirements(lock: Path) -> list[Requirement]:
    lines = [line.partition("#")[0].strip() for line in lock.read_text().splitlines()]
    return [Requirement(line) for line in lines if line]


def pins(lock: Path, python: str) -> dict[str, str]:
    """The version of each package on Linux; raises AssertionError where a package has two, or a range."""
    there = {"python_version": python, "python_full_version": f"{python}.1", "sys_platform": "linux"}
    there |= {"platform_machine": "x86_64", "platform_system": "Linux", "os_name": "posix"}
    meant = [r for r in requirements(lock) if r.marker is None or r.marker.evaluate(there)]
    found = {r.name: str(r.specifier) for r in meant}
    assert len(found) == len(meant) and all(re.fullmatch(r"===?[^*,]+", version) for version in found.values())
    return {name: version.lstrip("=") for name, version in found.items()}


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_the_lock_for_gpus_has_every_version_of_the_other_and_vllm_beside_them(python):
    base, gpu = pins(BASE, python), pins(GPU, python)
    assert base.items() <= gpu.items()
    assert {"vllm", "triton", "nvidia-nccl-cu13", "nvidia-cublas"} <= gpu.keys() - base.keys()
    assert not [name for name in base if name.startswith(("cuda-", "nvidia-", "triton"))]


@pytest.mark.parametrize(("lock", "python"), [(BASE, "3.10"), (BASE, "3.13"), (GPU, "3.13")])
def test_the_versions_that_were_measured_together_are_locked(lock, python):
    found = pins(lock, python)
    for asked in requirements(ROOT / "requirements.in"):
        if asked.marker is None or asked.marker.evaluate({"python_version": python}):
            assert (asked.name == "vllm" and lock == BASE) or asked.specifier.contains(found[asked.name]), asked


def test_no_other_build_of_torch_is_taken_for_the_one_of_the_lock():
    (torch_pin,) = (r for r in requirements(GPU) if r.name == "torch")
    (version,) = (spec.version for spec in torch_pin.specifier)
    assert torch_pin.specifier.contains(version)
    assert not torch_pin.specifier.contains(f"{version}+cpu") and "+" not in version


def test_the_size_of_a_download_counts_one_file_of_each_package():
    gigabytes = runpy.run_path(str(ROOT / "install" / "download.py"))["gigabytes"]
    wheels = {"name": "a", "wheels": [{"size": 2e9}, {"size": 3e9}], "sdist": {"size": 9e9}}
    assert gigabytes({"packages": [wheels, {"name": "b", "sdist": {"size": 1e9}}]}) == 4.0
    with pytest.raises(KeyError, match="size"):
        gigabytes({"packages": [{"name": "c", "wheels": [{"url": "c.whl"}]}]})


@pytest.mark.parametrize("page", ["README.md", "docs/install.md"])
def test_the_pages_say_the_size_that_the_lock_has(page):
    (size,) = re.findall(r"^# Download: (\d+\.\d GB)$", GPU.read_text(), flags=re.M)
    assert size in (ROOT / page).read_text()


@pytest.mark.parametrize("cuda", [None, "13.0"])
def test_a_torch_without_cuda_is_refused(cuda, monkeypatch, capsys):
    monkeypatch.setattr(torch.version, "cuda", cuda)
    check = runpy.run_path(str(ROOT / "install" / "cuda.py"))["main"]
    if cuda is None:
        with pytest.raises(SystemExit, match=r"built without CUDA, .* PIP_FIND_LINKS= .* make gpu$"):
            check()
    else:
        check()
        assert f"for CUDA {cuda}" in capsys.readouterr().out


@pytest.fixture
def project(tmp_path) -> Path:
    """A copy of what `make gpu` reads, with a Python that installs nothing."""
    for name in ("Makefile", GPU.name):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "install", tmp_path / "install")
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def make_gpu(project: Path, python: str = "./python", of_the_check: int = 0) -> tuple[int, str]:
    words = ["make", "gpu", f"PYTHON={python}", f"OF_THE_CHECK={of_the_check}"]
    done = subprocess.run(words, cwd=project, capture_output=True, text=True)
    return done.returncode, done.stdout


def test_it_is_made_once_and_the_size_is_said_first(project):
    code, said = make_gpu(project)
    steps = ["the download is ", "asked for: -m venv", f"-r {GPU.name}", "asked for: install/cuda.py"]
    assert code == 0 and sorted(steps, key=said.index) == steps
    code, said = make_gpu(project)
    assert code == 0 and "asked for" not in said


def test_an_environment_that_the_check_refuses_is_made_again(project):
    assert make_gpu(project, of_the_check=1)[0] != 0
    assert "asked for: -m venv" in make_gpu(project)[1]


def test_a_python_that_vllm_does_not_take_is_refused_before_anything_is_made(project):
    code, said = make_gpu(project, python="false")
    assert code != 0 and "make gpu PYTHON=python3.12" in said
    assert not (project / ".venv-gpu").exists()


@pytest.mark.parametrize(("brought", "lock"), [("nvidia-nccl-cu13", GPU), ("torch", BASE)])
def test_doctor_compares_an_environment_with_the_lock_that_made_it(brought, lock, monkeypatch):
    monkeypatch.setattr("importlib.metadata.distributions", lambda: [SimpleNamespace(metadata={"Name": brought})])
    name, found = packages.gather()
    assert name == lock.name
    locked = {package.name: package.locked for package in found}
    assert locked["torch"] == "2.13.0" and None not in locked.values()
