"""Jobs that are copies of one process that has imported for all of them: separate, as good, and never needed."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import submitit

from helpers.constants import ROOT, TINY
from sweep.dispatch.controller import LocalExecutor, start_controller
from sweep.dispatch.imports import import_stage
from sweep.dispatch.local import LocalQueue
from sweep.dispatch.prepared import Copy, Prepared, can_copy
from sweep.plan.plan import plan_sweep

pytestmark = pytest.mark.skipif(not can_copy(), reason="processes cannot be copied here")


@pytest.fixture(scope="module")
def prepared():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(Path(__file__).parent)]))
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        made = Prepared([])
    until(made.settled)
    yield made
    made.close()


def until(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def submit(folder: Path, starts, call, *arguments, processes: int = 1) -> submitit.Job:
    executor = LocalExecutor(folder, starts)
    executor.update_parameters(tasks_per_node=processes)
    return executor.submit(call, *arguments)


def describe(marker: str) -> dict:
    """What a job finds in its process."""
    print(f"said by {marker}")
    place = submitit.JobEnvironment()
    return {
        "loaded": "sweep.stages.train" in sys.modules and "deepspeed" in sys.modules,
        "place": (place.global_rank, place.num_tasks),
        "pid": os.getpid(),
        "draws": (random.random(), float(np.random.random())),
        "term": signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL,
        "input": os.readlink("/proc/self/fd/0"),
    }


def initialise(meeting: Path) -> dict:
    """Begin as a training does, as far as DeepSpeed's engine."""
    import deepspeed
    import torch

    from sweep.job.processes import join, leave

    join(0, 1, 0, meeting)
    model = torch.nn.Linear(2, 2)
    settings = {"train_micro_batch_size_per_gpu": 1, "zero_optimization": {"stage": 2}}
    optimizer = torch.optim.AdamW(model.parameters())
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=settings, dist_init_required=False)
    engine.backward(engine(torch.ones(1, 2)).sum())
    engine.step()
    compiler = "torch._inductor.compile_fx" in sys.modules
    leave()
    return {"compiler": compiler, "disabled": os.environ.get("TORCHDYNAMO_DISABLE"), "collects": gc.isenabled()}


def fail() -> None:
    raise RuntimeError("on purpose")


def end_by(number: int) -> None:
    os.kill(os.getpid(), number)


def wait_for(file: Path) -> str:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    file.with_suffix(".begun").touch()
    while not file.exists():
        time.sleep(0.02)
    return file.read_text()


def test_processes_of_jobs_are_copies_and_apart(prepared, tmp_path):
    jobs = [submit(tmp_path / name, prepared.copy, describe, name, processes=2) for name in ("one", "two")]
    found = [result for job in jobs for result in job.results()]
    assert all(f["loaded"] and f["term"] and f["input"] == os.devnull for f in found)
    assert [f["place"] for f in found] == [(0, 2), (1, 2)] * 2
    assert len({f["pid"] for f in found} | {int(job.job_id) for job in jobs}) == 6
    for draws in zip(*(f["draws"] for f in found), strict=True):
        assert len(set(draws)) == 4  # of what draws without a key
    assert "said by one" in jobs[0].stdout() and "said by two" not in jobs[0].stdout()


def test_a_training_begins_without_torchs_compiler(prepared, tmp_path):
    found = submit(tmp_path, prepared.copy, initialise, tmp_path / "meeting.json").result()
    assert found == {"compiler": False, "disabled": None, "collects": True}


@pytest.mark.parametrize("name", ["json", "no_such_module_here"])
def test_importing_leaves_the_collection_of_garbage_as_it_was(name):
    for collects in (False, True):
        (gc.enable if collects else gc.disable)()
        with contextlib.suppress(ModuleNotFoundError):
            import_stage(name)
        assert gc.isenabled() == collects
    gc.unfreeze()


def test_an_error_is_the_jobs_own(prepared, tmp_path):
    job = submit(tmp_path, prepared.copy, fail)
    until(job.done)
    assert "on purpose" in str(job.exception())
    errors = job.paths.stderr.read_text()
    assert "RuntimeError: on purpose" in errors and "InTask" not in errors


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_is_killed_ends_its_job(prepared, tmp_path, number):
    job = submit(tmp_path, prepared.copy, end_by, number)
    until(job.done)
    assert not job.paths.result_pickle.exists()


def test_a_signal_to_the_controller_reaches_the_process(prepared, tmp_path):
    job = submit(tmp_path, prepared.copy, wait_for, tmp_path / "never")
    until((tmp_path / "never.begun").exists)
    os.kill(int(job.job_id), signal.SIGTERM)
    until(job.done)
    assert not job.paths.result_pickle.exists()


def test_what_was_started_goes_on_without_the_process_it_was_copied_from(prepared, tmp_path):
    job = submit(tmp_path, prepared.copy, wait_for, tmp_path / "go")
    until((tmp_path / "go.begun").exists)
    prepared._process.kill()
    prepared._process.wait()
    assert prepared.copy(tmp_path, {}) is None and prepared.settled()  # from here on jobs import for themselves
    (tmp_path / "go").write_text("on")
    assert job.result() == "on"


def test_a_queue_prepares_for_several_processes_and_goes_on_where_that_fails(tmp_path, monkeypatch):
    tasks = plan_sweep([*TINY, f"output_dir={tmp_path}"]).tasks
    queue = LocalQueue(tasks, tmp_path, tasks[0].config.cluster)  # no code lies there: nothing can be imported
    monkeypatch.setattr(queue, "_submit", lambda *_: pytest.fail("too early"))
    first = queue._start_ready(queue._statuses())
    assert [(str(s.state), s.note) for s in first] == [("queued", "waits while what all jobs need is imported")] * 2
    until(lambda: queue._may_start(queue._statuses()))
    assert queue._prepared.copy(tmp_path, {}) is None

    started = []
    monkeypatch.setattr("sweep.dispatch.local.start_controller", lambda folder, *_: started.append(folder))
    queue._controller([], tmp_path, {})
    assert started == [tmp_path]


@pytest.mark.parametrize(("shared", "kept"), [(False, 2), (True, 1)])
def test_a_single_process_or_one_that_is_told_to_imports_for_itself(tmp_path, shared, kept):
    tasks = plan_sweep([*TINY, f"output_dir={tmp_path}", f"cluster.share_imports={shared}"]).tasks
    queue = LocalQueue(tasks[:kept], tmp_path, tasks[0].config.cluster)
    assert queue._may_start(queue._statuses()) and queue._prepared is None


def test_a_copy_that_has_ended_is_not_signalled(tmp_path):
    process = start_controller(tmp_path, {})  # ends at once: it is told of no job
    copy = Copy(process.pid)
    until(lambda: copy.poll() == 0)
    copy.send_signal(signal.SIGKILL)
    assert process.wait() > 0
