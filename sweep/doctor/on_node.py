"""Submit a short job that looks at a compute node, the way a launch submits a cell, and wait for what it found."""

from __future__ import annotations

import json
import math
import shlex
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from submitit.core.utils import FailedJobError

from sweep.config.cell import CellConfig
from sweep.dispatch import slurm
from sweep.dispatch.complaints import keys_that_matter
from sweep.dispatch.shapes import executor
from sweep.dispatch.slurm import JobView, SlurmError
from sweep.dispatch.snapshot import snapshot_code
from sweep.doctor.examine import Asked
from sweep.doctor.finding import Finding, Level, broken, not_checked
from sweep.doctor.node import LOCK, RESULT, TOUCHED, request
from sweep.plan.task import Task
from sweep.program import program
from sweep.run.claims import Submission, new_submission
from sweep.run.ending import last_words
from sweep.run.environment import write_environment
from sweep.run.files import try_lock, write_json

LIMIT_MINUTES = 5  # of the job, which takes one: from a cold network disk, imports take longer
MEMORY_GB = 8.0
POLL_SECONDS = 1.0
END_SECONDS = 15.0  # that a job may take to end once it has answered
SEEN_SECONDS = 60.0  # a network file system may show a new file so much later


@dataclass(frozen=True)
class Visit:
    """A job that looks at a node, and the folder through which it answers."""

    submission: Submission
    folder: Path

    @property
    def job(self) -> str:
        """Slurm's id of the job."""
        return self.submission.element(0) or ""

    @property
    def view(self) -> JobView | None:
        """The job as Slurm shows it now; None if Slurm has forgotten it. A busy controller is asked again."""
        deadline = time.monotonic() + SEEN_SECONDS
        while True:
            try:
                return slurm.queue().get(self.job) or slurm.history([self.job]).get(self.job)
            except SlurmError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(POLL_SECONDS)


def visit(asked: Asked, minutes: float, say: Callable[[str], None]) -> tuple[str, list[Finding]]:
    """Look at a node, and return its name ("" if no job ran) and the findings about it.

    The job has the partition, account, QoS and options of the first cell that asks for the most GPUs, one process, and
    one GPU if the cell asks for any. What it needs lies in `doctor/` of the output directory and is removed in the end;
    the copy of the code stays, as that of a launch does.

    Args:
        minutes: for how long to wait for the job to start; then it is cancelled.
        say: prints a line on what is being waited for.
    """
    assert asked.plan is not None
    task = _short(max(asked.plan.cells, key=lambda cell: cell.config.resources.gpus))
    root = asked.output_dir
    fresh = new_submission(root, slurm.user())
    folder = root / "doctor" / fresh.id
    submission = replace(fresh, folder=str(folder))
    folder.mkdir(parents=True)
    try:
        return _visit(submission, task, root, minutes, say, shlex.join(asked.typed))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()


def _short(task: Task) -> Task:
    """Return the task with what a short job of one process asks for."""
    config, asked = task.config, task.config.resources
    memory = asked.memory_gb and min(asked.memory_gb, max(MEMORY_GB, asked.memory_gb / max(1, asked.gpus)))
    hours = min(asked.hours, LIMIT_MINUTES / 60)
    changes = {"gpus": min(1, asked.gpus), "hours": hours, "memory_gb": memory}
    return task.with_config(
        config.model_copy(
            update={
                "resources": asked.model_copy(update=changes),
                "deepspeed": config.deepspeed.model_copy(update={"processes": None}),
                "cluster": config.slurm.model_copy(update={"signal_seconds": 1}),
            }
        )
    )


def _visit(
    submission: Submission, task: Task, root: Path, minutes: float, say: Callable[[str], None], overrides: str
) -> tuple[str, list[Finding]]:
    folder, code = Path(submission.folder), snapshot_code(root)
    write_json(submission.file, request(task.config, code, f"{program()} prefetch {overrides}"))
    write_environment(folder, cast(dict[str, str], task.config.slurm.env))
    (folder / TOUCHED).write_text(str(time.time()))
    lock = try_lock(folder / LOCK)
    try:
        made = executor(submission, task, "doctor", code, program="sweep.doctor.node")
        try:
            slurm.check_request(made.script())
            array = made.submit_runs()
        except (SlurmError, FailedJobError) as error:
            return "", [_refused(error, task.config)]
        found = Visit(replace(submission, job=array), folder)
        say(f"job {found.job} looks at a node; waiting for it to start, {minutes:g} minutes at most")
        return _answer(found, minutes)
    finally:
        if lock is not None:
            lock.close()


def _refused(error: Exception, config: CellConfig) -> Finding:
    said = str(error) if isinstance(error, SlurmError) else f"sbatch: {slurm.error_text(str(error))}"
    remedy = keys_that_matter(said, config).removeprefix("; ") or f"{program()} plan shows what jobs ask for"
    return broken("node.job", f"no job was submitted: {said}", remedy)


def _answer(found: Visit, minutes: float) -> tuple[str, list[Finding]]:
    """Wait for the job's findings. However this ends, no job is left in the queue."""
    begun, ended = time.monotonic(), None
    try:
        while True:
            if (file := found.folder / RESULT).exists():
                answer = _read(json.loads(file.read_text()))
                _let_it_end(found)
                return answer
            view, now = found.view, time.monotonic()
            if view is not None and view.state in slurm.WAITING and now - begun > 60 * minutes:
                return "", [_still_waiting(view, minutes)]
            if view is None or not view.alive:
                ended = ended or now
                # Without the file: a job that ended well wrote one, which may be seen later.
                well = view is not None and view.state == "COMPLETED"
                if now - ended > (SEEN_SECONDS if well else 5 * POLL_SECONDS):
                    return "", [_without_answer(found, view)]
            time.sleep(POLL_SECONDS)
    finally:
        _cancel(found)


def _still_waiting(view: JobView, minutes: float) -> Finding:
    reason = f" ({view.reason})" if view.reason not in ("", "None") else ""
    seen = f"the job did not start within {minutes:g} minutes{reason}, and was cancelled"
    return not_checked("node.job", seen, f"--start-minutes {math.ceil(minutes * 4)}, or another cluster.partition")


def _without_answer(found: Visit, view: JobView | None) -> Finding:
    if view is not None and view.state == "COMPLETED":
        seen = f"the job ended well, and what it wrote into {found.folder} is not seen here"
        return broken("node.shared", seen, "output_dir=DIR, on a disk that the nodes share")
    why = last_words(found.submission.error_files(0), view.exit if view else "") or (
        f"Slurm says {view.state}" if view else "it left the queue"
    )
    return broken("node.job", f"the job ended without an answer: {why}", "cluster.python, cluster.setup, output_dir")


def _read(answer: dict) -> tuple[str, list[Finding]]:
    host = answer["host"]
    return host, [Finding(**{**one, "level": Level(one["level"])}).at(f"node {host}") for one in answer["findings"]]


def _let_it_end(found: Visit) -> None:
    """Wait a little for a job that has answered, so that accounting counts it as completed and not as cancelled."""
    deadline = time.monotonic() + END_SECONDS
    while (view := found.view) is not None and view.alive and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _cancel(found: Visit) -> None:
    if (view := found.view) is not None and view.alive:
        slurm.cancel([found.job])
