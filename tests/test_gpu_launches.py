"""Launches on a machine with GPUs, which are pretended: each job has its own, in this launch and beside others."""

from __future__ import annotations

import io
import os
import re
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from rich.console import Console

from helpers.constants import ROOT, TINY
from helpers.pretend_devices import have, killed, nvidia_smi, pretend_gpus, takes
from helpers.shells import Shell
from sweep.dispatch.devices import Devices, needed_bytes
from sweep.dispatch.here import Local
from sweep.dispatch.inline import InlineQueue
from sweep.dispatch.local import LocalQueue
from sweep.plan.fit import machine_faults
from sweep.plan.machine import jobs_at_once, processes_at_once
from sweep.plan.plan import plan_sweep
from sweep.plan.resources import predict_memory
from sweep.plan.task import Task
from sweep.plan.view import plan_json, print_plan
from sweep.run.directory import RunDirectory
from sweep.run.process import start_of
from sweep.run.state import State

GIB = 2**30


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return plan_sweep([*TINY, "seed=0,1,2,3,4", f"output_dir={root}"])


class Launch:
    """A launch of cells that take these numbers of GPUs. A job sleeps until it is killed.

    `jobs`: the processes of all launches, by the directory of the run, with what each sees.
    """

    def __init__(self, planned, jobs, root, widths, **cluster) -> None:
        self.jobs = jobs
        self.tasks = [_with_gpus(task, root, width) for task, width in zip(planned.cells, widths, strict=False)]
        for task in self.tasks:
            task.freeze("s")
        self.cluster = planned.cluster.model_copy(update={"share_imports": False, **cluster})
        self.queue = LocalQueue(self.tasks, ROOT, self.cluster)

    def look(self) -> list[str | None]:
        """The GPUs of each cell's job; None for a cell that has none yet."""
        self.statuses = self.queue._start_ready(self.queue._statuses())
        return [self.jobs.get(task.directory, (None, None))[1] for task in self.tasks]

    def end(self, place: int) -> None:
        """Kill a job whose run is done by then."""
        RunDirectory(self.tasks[place].directory).write_state(state=State.DONE, steps=4, step=4)
        killed(self.jobs[self.tasks[place].directory][0])


def _with_gpus(task: Task, root: Path, width: int) -> Task:
    resources = task.config.resources.model_copy(update={"gpus": width})
    config = task.config.model_copy(update={"resources": resources})
    return replace(task, root=root, entry=replace(task.entry, stages=[]), config=config)


@pytest.fixture
def launch(planned, monkeypatch, tmp_path, four_gpus):
    made, jobs = [], {}

    def start(folder, environment, inherited) -> subprocess.Popen:
        job = subprocess.Popen(["sleep", "600"], pass_fds=inherited)
        jobs[folder.parent] = job, environment.get("CUDA_VISIBLE_DEVICES")
        return job

    def launch(*widths: int, visible: str | None = None, **cluster) -> Launch:
        have(monkeypatch, *four_gpus, visible=visible)
        monkeypatch.setattr("sweep.dispatch.local.start_controller", start)
        made.append(Launch(planned, jobs, tmp_path / str(len(made)), widths, **cluster))
        return made[-1]

    yield launch
    for one in made:
        one.queue.devices.release()
    for job, _ in jobs.values():
        killed(job)


def test_jobs_run_beside_each_other_each_on_its_own_gpu(launch):
    here = launch(1, 1, 1, 1, 1)
    assert here.look() == ["0", "1", "2", "3", None]
    assert [s.note for s in here.statuses] == [*(f"starting on GPU {n}" for n in range(4)), "waits for 1 free GPU"]
    here.end(2)
    assert here.look() == ["0", "1", "2", "3", "2"]


def test_jobs_stay_within_the_gpus_that_the_shell_gives(launch):
    assert launch(1, 1, 1, 0, visible="1,3").look() == ["1", "3", None, ""]


def test_the_first_job_that_does_not_fit_is_the_next_to_start(launch):
    here = launch(1, 4, 1, 1, 0)
    assert here.look() == ["0", None, None, None, ""]
    assert [s.note for s in here.statuses[1:4]] == ["waits for 4 free GPUs", "", ""]
    here.end(0)
    assert here.look() == ["0", "0,1,2,3", None, None, ""]
    here.end(1)
    assert here.look() == ["0", "0,1,2,3", "0", "1", ""]


def test_max_parallel_bounds_processes_with_gpus_as_well(launch):
    assert launch(1, 1, 0, max_parallel=2).look() == ["0", "1", None]


def test_a_job_that_waits_for_gpus_takes_no_room_from_others(launch):
    busy = launch(4)
    assert busy.look() == ["0,1,2,3"]
    here = launch(2, 0, 0, 0, max_parallel=2)
    assert here.look() == [None, "", "", None]
    busy.end(0)
    here.end(1)
    here.end(2)
    assert here.look() == ["0,1", "", "", None]


def test_two_launches_share_a_machine(launch):
    one, other = launch(2, 3), launch(1, 1, 1)
    assert one.look() == ["0,1", None]
    assert other.look() == [None, None, None]  # the first launch keeps the others for its second job
    one.end(0)
    assert other.look() == ["0", "1", None] and one.look() == ["0,1", None]
    other.end(1)
    assert one.look() == ["0,1", "1,2,3"] and other.look() == ["0", "1", None]
    one.end(1)
    assert other.look() == ["0", "1", "1"]


def test_a_launch_that_stops_keeps_no_gpu(launch, four_gpus):
    here = launch(1, 4)
    assert here.look() == ["0", None] and takes(Devices(four_gpus, None), 1) is None
    here.queue.stopping = True
    looks = iter(range(2))
    here.queue._signal = lambda *_: None
    with pytest.raises(StopIteration):
        here.queue._run(lambda _: None, lambda _: next(looks))
    assert takes(Devices(four_gpus, None), 3) == "1,2,3"


def test_a_job_that_outlived_its_launch_is_adopted_with_its_gpu(launch, four_gpus):
    first = launch(1, 1)
    assert first.look() == ["0", "1"]
    (job, _), (other, _) = (first.jobs[task.directory] for task in first.tasks)
    run = RunDirectory(first.tasks[0].directory)
    with run.exclusive():
        run.write_state(state=State.RUNNING, pid=job.pid, process_started=start_of(job.pid), devices="0", attempt=1)
        for started in first.queue._jobs.values():
            started.close()  # the launch is killed, and so is its other job
        killed(other)
        second = LocalQueue(first.tasks, ROOT, first.cluster)
        statuses = second._start_ready(second._statuses())
    assert [(str(s.state), s.devices) for s in statuses] == [("running", "0"), ("running", None)]
    assert statuses[1].note == "starting on GPU 1"


def test_a_copy_of_the_prepared_process_gets_the_variables_and_a_job_with_gpus_is_none(launch, tmp_path):
    here, copied = launch(0, 1), []
    here.queue._prepared = SimpleNamespace(
        copy=lambda folder, environment: copied.append(environment["CUDA_VISIBLE_DEVICES"]) or SimpleNamespace(pid=1),
        settled=lambda: True,
    )
    assert here.look() == [None, "0"]
    assert copied == [""]


@pytest.mark.parametrize(("widths", "seen"), [((0, 1), "0"), ((0, 0), "")])
def test_a_launch_in_one_process_takes_one_gpu_for_all_that_it_runs(launch, four_gpus, monkeypatch, widths, seen):
    tasks, found = launch(*widths).tasks, []
    queue = InlineQueue(tasks)
    monkeypatch.setattr("sweep.dispatch.inline.import_stage", lambda _: None)

    def work(task) -> None:
        RunDirectory(task.directory).write_state(state=State.DONE, steps=4, step=4)
        found.append((os.environ["CUDA_VISIBLE_DEVICES"], takes(Devices(four_gpus, None), 3)))

    monkeypatch.setattr(queue, "_work_on", work)
    queue.run(lambda _: None, lambda _: None)
    assert found == [(seen, "1,2,3" if seen else "0,1,2")] * 2
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert takes(Devices(four_gpus, None), 4) == "0,1,2,3"


def test_the_plan_says_how_many_run_at_once(launch, monkeypatch, planned):
    tasks = launch(1, 3, 0, 1, 5).tasks
    narrow, wide, without = (task.config for task in tasks[:3])
    monkeypatch.setattr("sweep.plan.machine.cores", lambda: 8)
    assert [jobs_at_once(config) for config in (narrow, wide, without)] == [4, 1, 8]
    cluster = narrow.cluster.model_copy(update={"max_parallel": 2})
    assert jobs_at_once(narrow.model_copy(update={"cluster": cluster})) == 2
    assert processes_at_once([narrow, wide, wide, without], narrow.cluster) == 5
    assert processes_at_once([narrow, wide, without], cluster) == 2
    plan, said = replace(planned, stages=[], cells=tasks), io.StringIO()
    print_plan(plan, Console(file=said, width=200))
    for line in (
        "a cell takes 1 of the 4 GPUs that a launch here may use; 2 cells at once",
        "a cell takes 3 of the 4 GPUs that a launch here may use; 1 cell at once",
        "a cell asks for no GPU and sees none of the 4 here; 1 cell at once",
    ):
        assert line in said.getvalue()
    assert "takes 5 of" not in said.getvalue()  # a launch would be refused
    assert [row.get("devices") for row in plan_json(plan)["cells"]] == [1, 3, None, 1, 5]


@pytest.mark.parametrize(
    ("visible", "torch", "why"),
    [
        (None, "2.13.0", "this machine has no GPU"),
        ("9", "2.13.0", "CUDA_VISIBLE_DEVICES=9 names none of the GPUs here (there are 4)"),
        ("0", "2.13.0+cpu", "torch 2.13.0+cpu is built without CUDA (`make gpu` brings another)"),
    ],
)
def test_the_plan_says_which_cells_run_without_the_gpus_that_they_ask_for(monkeypatch, tmp_path, visible, torch, why):
    have(monkeypatch, *(pretend_gpus(4) if visible else ()), visible=visible)
    monkeypatch.setattr("sweep.plan.fit.importlib.metadata.version", lambda name: torch)
    typed = [*TINY, "seed=0,1", f"output_dir={tmp_path}"]
    said = f"asks for 1 GPU, and {why}: it runs on the CPU, slowly"
    assert any(note.endswith(said) for note in plan_sweep([*typed, "resources.gpus=1"]).notes)
    for without in ([], ["resources.gpus=1", "cluster=slurm"]):
        assert not any("on the CPU" in note for note in plan_sweep([*typed, *without]).notes)
    have(monkeypatch, *pretend_gpus(4))
    monkeypatch.setattr("sweep.plan.fit.importlib.metadata.version", lambda name: "2.13.0+cu130")
    assert not any("on the CPU" in note for note in plan_sweep([*typed, "resources.gpus=1"]).notes)


@pytest.mark.parametrize(
    ("typed", "installed", "said"),
    [
        (["rollout=auto", "resources.gpus=1"], False, True),
        (["rollout=auto", "resources.gpus=1"], True, False),
        (["rollout=auto"], False, False),  # on the CPU auto is transformers
        (["rollout=auto", "resources.gpus=1", "cluster=slurm"], False, False),  # the nodes may have it
        (["resources.gpus=1"], False, False),
    ],
)
def test_the_plan_says_where_auto_samples_without_vllm(monkeypatch, tmp_path, typed, installed, said):
    have(monkeypatch, *pretend_gpus(1))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if installed else None)
    notes = plan_sweep([*TINY, *typed, f"output_dir={tmp_path}"]).notes
    assert any("vLLM is not installed here" in note for note in notes) is said


def test_a_launch_says_beforehand_which_gpus_others_use(launch, monkeypatch, planned, four_gpus):
    tasks, said = launch(1, 0).tasks, io.StringIO()
    have(monkeypatch, four_gpus[0], replace(four_gpus[1], free=0))
    assert needed_bytes(tasks) == predict_memory(tasks[0].config, on_gpu=True).peak
    assert needed_bytes(tasks[1:]) is None
    Local().check(replace(planned, stages=[], cells=tasks), Console(file=said, width=400))
    (line,) = said.getvalue().splitlines()
    assert line.startswith("note: GPU 1 (NVIDIA H100 80GB HBM3): 0.0 B of 80.0 GiB are free")


@pytest.mark.parametrize(
    ("gpus", "parts", "said"),
    [
        (8, False, r"asks for 8 GPUs and this machine has 3; set resources\.gpus=2"),  # 4 prompts do not divide by 3
        (2, True, r"asks for 2 GPUs, and this machine's are parts of GPUs \(MIG\), .*; set resources\.gpus=1"),
        (1, True, None),
        (3, False, None),
    ],
)
def test_cells_that_this_machine_has_too_few_gpus_for(launch, monkeypatch, four_gpus, gpus, parts, said):
    (task,) = launch(gpus).tasks
    have(monkeypatch, *four_gpus[:3])
    if parts:
        have(monkeypatch, *(replace(gpu, uuid=f"MIG-{gpu.uuid}", total=None, free=None) for gpu in four_gpus))
    faults = machine_faults([task])
    assert len(faults) == (said is not None)
    assert said is None or re.search(said, faults[0])


def test_a_real_launch(shell, tmp_path, monkeypatch):
    """The jobs find no CUDA here, so that they compute on the CPU; what they might use is in their states."""
    gpus = pretend_gpus(4, of=uuid4().hex[:12])
    monkeypatch.setenv("PATH", f"{nvidia_smi(tmp_path / 'bin', gpus)}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    said = shell.launch(*TINY, "name=s", "seed=0,1", "steps=1", "evaluation.every=4", "resources.gpus=1").stdout
    assert "starting on GPU 1" in said and "starting on GPU 3" in said
    baseline, *cells = shell.sweep("status", "s")["runs"]
    assert baseline["devices"] == "1" and sorted(cell["devices"] for cell in cells) == ["1", "3"]
    assert all(RunDirectory(shell.root / "runs/cells" / cell["run"]).read_state().devices for cell in cells)


def test_two_real_launches_take_turns_on_one_gpu(tmp_path, cache_dir, monkeypatch):
    (gpu,) = pretend_gpus(1, of=uuid4().hex[:12])
    monkeypatch.setenv("PATH", f"{nvidia_smi(tmp_path / 'bin', [gpu])}{os.pathsep}{os.environ['PATH']}")
    shells = [Shell(tmp_path / name, cache_dir) for name in ("one", "other")]
    typed = (*TINY, "name=s", "steps=1", "evaluation.every=4", "resources.gpus=1")
    launches = [shell.start(*typed) for shell in shells]
    assert [launch.wait(600) for launch in launches] == [0, 0]
    runs = [*tmp_path.glob("*/runs/stages/*"), *tmp_path.glob("*/runs/cells/*")]
    states = [RunDirectory(run).read_state() for run in runs]
    times = sorted((state.started, state.updated) for state in states)
    assert {state.devices for state in states} == {"0"} and len(times) == 4
    assert all(ended < started for (_, ended), (started, _) in pairwise(times))
