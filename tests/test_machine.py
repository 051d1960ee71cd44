"""Which GPUs a job may see, as nvidia-smi and CUDA_VISIBLE_DEVICES say."""

from __future__ import annotations

import os

import pytest

from helpers.pretend_devices import nvidia_smi, pretend_gpus
from sweep.plan import machine

FOUR = pretend_gpus(4)
MIG = "MIG-6fd9c9c1-17f2-5f1b-8b3f-0f1e9c7d7c11", "MIG-a2a1c3a0-8a6e-54ad-9b53-2a9c3bb1ad02"


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Asks a pretended nvidia-smi under a value of CUDA_VISIBLE_DEVICES; None: it is not set."""
    machine._machine.cache_clear()

    def ask(visible: str | None = None, mig: dict | None = None):
        monkeypatch.setenv("PATH", f"{nvidia_smi(tmp_path / 'bin', FOUR, mig)}:{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        return machine.gpus()

    yield ask
    machine._machine.cache_clear()


def test_all_that_nvidia_smi_says_of_a_gpu(asked):
    assert asked() == FOUR


@pytest.mark.parametrize(
    ("visible", "indices"),
    [
        ("2,3", ["2", "3"]),
        ("3, 0", ["3", "0"]),
        ("", []),
        ("1,7,2", ["1"]),  # CUDA stops at the first entry that names nothing
        ("-1", []),
        ("0,-1,1", ["0"]),
        ("1,1", []),  # and shows nothing where a device is named twice
        ("1,GPU-00000001", []),
        ("NoDevFiles", []),
        ("GPU-00000002-0000,0", ["GPU-00000002-0000", "0"]),
        ("GPU-00000003", ["GPU-00000003"]),  # the beginning of a UUID is enough
        ("GPU-0000000", []),  # if it is that of one alone
        ("GPU-ffffffff,1", []),
    ],
)
def test_what_cuda_shows(asked, visible, indices):
    found = asked(visible)
    assert [gpu.visible for gpu in found] == indices
    whole = {gpu.visible: gpu for gpu in FOUR} | {gpu.uuid: gpu for gpu in FOUR}
    assert all(gpu.uuid == (whole.get(gpu.visible) or FOUR[3]).uuid for gpu in found)


@pytest.mark.parametrize(
    ("visible", "why"),
    [
        ("8", "CUDA_VISIBLE_DEVICES=8 names none of the GPUs here (there are 4)"),
        ("", "CUDA_VISIBLE_DEVICES='' names none of the GPUs here (there are 4)"),
    ],
)
def test_why_no_gpu_is_seen(asked, visible, why):
    assert asked(visible) == () and machine.why_no_gpu() == why


def test_a_divided_gpu_is_its_parts(asked):
    found = asked(mig={FOUR[1].uuid: [*MIG]})
    assert [gpu.visible for gpu in found] == ["0", *MIG, "2", "3"]
    assert [(gpu.is_mig, gpu.total) for gpu in found[:3]] == [(False, FOUR[0].total), (True, None), (True, None)]


@pytest.mark.parametrize("named", [MIG[1], "MIG-GPU-00000001-0000/1/0"])
def test_a_part_that_is_named_is_one_device_of_unknown_memory(asked, named):
    (found,) = asked(named, mig={FOUR[1].uuid: [*MIG]})
    assert (found.visible, found.uuid, found.total, found.driver) == (named, named, None, FOUR[0].driver)


@pytest.mark.parametrize("named", ["1", FOUR[1].uuid])
def test_a_divided_gpu_that_is_named_is_its_first_part(asked, named):
    """However it is named: else two launches would take it for two devices."""
    assert [gpu.uuid for gpu in asked(f"{named},0", mig={FOUR[1].uuid: [*MIG]})] == [MIG[0], FOUR[0].uuid]


def test_no_nvidia_smi_is_no_gpu(monkeypatch, tmp_path):
    machine._machine.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert machine.gpus() == () and machine.why_no_gpu() == "this machine has no GPU"
    machine._machine.cache_clear()


@pytest.mark.parametrize("content", [b"\x7fELF of another processor", b"no program"])
def test_an_nvidia_smi_that_cannot_be_started_is_no_gpu(monkeypatch, tmp_path, content):
    machine._machine.cache_clear()
    (nvidia_smi(tmp_path / "bin", FOUR) / "nvidia-smi").write_bytes(content)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert machine.gpus() == ()
    machine._machine.cache_clear()


def test_an_nvidia_smi_that_fails_is_no_gpu(monkeypatch, tmp_path):
    machine._machine.cache_clear()
    (nvidia_smi(tmp_path / "bin", FOUR) / "nvidia-smi").write_text("#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert machine.gpus() == ()
    machine._machine.cache_clear()
