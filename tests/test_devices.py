"""The queue of a machine with GPUs: each job has its own, in this launch and beside others. The GPUs are pretended."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from types import SimpleNamespace
from uuid import uuid4

import pytest

from helpers.constants import TINY
from helpers.pretend_devices import give_back, have, indices, killed, takes
from sweep.dispatch.controller import LocalController
from sweep.dispatch.devices import Devices, crowded
from sweep.dispatch.room import Room
from sweep.plan.machine import visible_gpus
from sweep.plan.plan import plan_sweep

GIB = 2**30


def sleeping(inherited=()) -> subprocess.Popen:
    return subprocess.Popen(["sleep", "600"], pass_fds=[lease.fileno() for lease in inherited])


def test_two_launches_never_take_the_same_gpu(four_gpus):
    one, other = Devices(four_gpus, None), Devices(four_gpus, None)
    first, second = one.take(3), other.take(1)
    assert (indices(first), indices(second)) == ("0,1,2", "3")
    assert one.take(1) is None and other.take(1) is None
    one.release(), other.release()
    give_back(first)
    assert takes(other, 2) == "0,1"
    give_back(second)


def test_a_wide_job_keeps_what_becomes_free_and_no_second_launch_does_so(four_gpus):
    running = [Devices(four_gpus, None).take(1)[0] for _ in range(3)]
    one, other = Devices(four_gpus, None), Devices(four_gpus, None)
    assert one.take(4) is None and other.take(2) is None
    assert takes(Devices(four_gpus, None), 1) is None  # `one` keeps the fourth
    running.pop(1).close()
    assert other.take(2) is None and one.take(4) is None
    give_back(running)
    got = one.take(4)
    assert indices(got) == "0,1,2,3"
    assert other.take(2) is None  # and now it is this one that keeps what it finds
    give_back(got[:1])
    assert other.take(2) is None and one.take(1) is None
    give_back(got)
    assert takes(other, 2) == "0,1"
    assert takes(one, 4) == "0,1,2,3"


def test_launches_with_other_gpus_keep_theirs_meanwhile(four_gpus):
    running, one, other = Devices(four_gpus, None).take(1), Devices(four_gpus[:2], None), Devices(four_gpus[2:], None)
    assert one.take(2) is None and takes(Devices(four_gpus, None), 3) is None
    busy = other.take(1)
    assert other.take(2) is None and takes(Devices(four_gpus, None), 1) is None
    give_back([*running, *busy])
    assert (takes(one, 2), takes(other, 2)) == ("0,1", "2,3")


def test_what_was_kept_for_a_job_that_no_longer_waits_is_free(four_gpus):
    running, one = Devices(four_gpus, None).take(1), Devices(four_gpus, None)
    assert one.take(4) is None
    assert takes(one, 1) == "1"  # another job is first now: the rest is given back
    assert takes(Devices(four_gpus, None), 3) == "1,2,3"
    give_back(running)
    assert one.take(5) is None
    one.release()
    assert takes(Devices(four_gpus, None), 4) == "0,1,2,3"


def test_a_gpu_is_taken_until_the_last_process_that_has_it_is_killed(four_gpus):
    taken = Devices(four_gpus, None).take(4)
    job = sleeping(taken)
    give_back(taken)  # as if the launch had died
    assert Devices(four_gpus, None).take(1) is None
    killed(job)
    assert takes(Devices(four_gpus, None), 4) == "0,1,2,3"


def test_processes_that_outlive_their_controller_keep_its_gpu(four_gpus, tmp_path):
    made, taken = object.__new__(LocalController), Devices(four_gpus, None).take(4)
    made.folder, made.pid, made.ntasks, made.tasks = tmp_path, "1", 2, []
    made.command = ["sleep", "600"]
    for lease in taken:
        os.set_inheritable(lease.fileno(), True)  # as they are in a controller, which inherited them itself
    made.start_tasks()
    try:
        give_back(taken)
        killed(made.tasks[0])
        assert Devices(four_gpus, None).take(1) is None
    finally:
        killed(made.tasks[1])
    assert takes(Devices(four_gpus, None), 4) == "0,1,2,3"


@pytest.mark.parametrize(
    ("visible", "count", "seen"),
    [
        (None, 2, "0,1"),
        ("3,1", 2, "3,1"),
        ("GPU-00000002", 1, "GPU-00000002"),
        ("GPU-00000002,1", 2, "GPU-00000002-OF,GPU-00000001-OF"),  # CUDA takes no mixture
        ("MIG-GPU-6fd9/1/0", 1, "MIG-GPU-6fd9/1/0"),
    ],
)
def test_a_job_sees_its_gpus_as_the_shell_names_them(four_gpus, visible, count, seen):
    devices = Devices(visible_gpus([(gpu,) for gpu in four_gpus], visible), None)
    taken = devices.take(count)
    of = four_gpus[0].uuid.rpartition("-")[2]
    assert devices.environment(taken) == {
        "CUDA_VISIBLE_DEVICES": seen.replace("OF", of),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }
    assert devices.environment([])["CUDA_VISIBLE_DEVICES"] == ""
    assert Devices((), None).environment([]) == {}
    give_back(taken)


def test_a_wide_job_takes_no_parts_of_gpus(four_gpus):
    part = replace(four_gpus[0], visible="MIG-1", uuid=f"MIG-{uuid4()}", total=None, free=None)
    devices = Devices([part, *four_gpus[1:3]], None)
    pair = devices.take(2)
    assert indices(pair) == "1,2" and takes(devices, 2) is None
    assert takes(devices, 1) == "MIG-1"
    give_back(pair)


def test_a_gpu_that_another_program_fills_is_named_and_taken_last(four_gpus):
    used = replace(four_gpus[0], free=12 * GIB)
    gpus = [used, *four_gpus[1:3]]
    (task,) = plan_sweep([*TINY, "resources.gpus=1"]).cells
    tasks = [SimpleNamespace(config=task.config, steps=4)]
    with pytest.MonkeyPatch.context() as patch:
        have(patch, *gpus)
        patch.setattr("sweep.dispatch.devices.needed_bytes", lambda _: 20 * GIB)
        (line,) = crowded(tasks, gpus)
        assert line.startswith("GPU 0 (NVIDIA H100 80GB HBM3): 12.0 GiB of 80.0 GiB are free, and a process of this")
        assert "needs 20.0 GiB" in line and "CUDA_VISIBLE_DEVICES" in line
        mine = Devices(gpus[:1], None).take(1)  # a job of ours fills it, which is waited for
        assert crowded(tasks, gpus) == []
        give_back(mine)
        patch.setattr("sweep.dispatch.devices.needed_bytes", lambda _: None)
        assert "most of it" in crowded(tasks, gpus)[0]
        on_cpu = task.config.model_copy(update={"resources": task.config.resources.model_copy(update={"gpus": 0})})
        assert crowded([SimpleNamespace(config=on_cpu, steps=4)], gpus) == []
    assert takes(Devices(gpus, 20 * GIB), 2) == "1,2"
    assert takes(Devices(gpus, 20 * GIB), 3) == "0,1,2"


@pytest.mark.parametrize(
    ("most", "running", "asked", "starts"),
    [
        (None, [], [(1, True)] * 9, [True] * 9),  # GPUs bound these
        (None, [(4, True)], [(1, False)] * 3, [True, True, False]),
        (None, [(1, False)], [(3, False), (1, False), (1, True)], [False, False, True]),
        (None, [], [(3, False), (1, False)], [True, False]),  # wider than the machine: alone
        (3, [], [(2, True), (2, False), (1, False), (1, True)], [True, False, False, False]),
        (1, [], [(1, True), (1, False)], [True, False]),
    ],
)
def test_what_starts_beside_what_runs(most, running, asked, starts):
    room = Room(most, cores=2)
    for job in running:
        room.occupy(*job)
    assert [room.take(*job) for job in asked] == starts
