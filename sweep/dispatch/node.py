"""The program of each process of a Slurm job: `python -m sweep.dispatch.node SUBMISSION_FILE`.

It reads its work from a submission file, not from submitit's pickles. Those are moved into place after sbatch has
returned, so that a shell killed in between leaves a job without its work. The submission file is there before.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import submitit

from sweep.dispatch.imports import run_stage
from sweep.run.claims import latest_claim
from sweep.run.directory import RunDirectory
from sweep.run.slurm_job import STOP_SIGNALS, SlurmJob
from sweep.run.state import State


def main(file: Path) -> int:
    """Run the stage of this array index on this process, and return the exit code."""
    # Until the stage has loaded torch and catches signals, a signal waits instead of killing the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    work = json.loads(file.read_text())
    place = submitit.JobEnvironment()
    assert place.array_task_id is not None  # every submission is an array
    index = int(place.array_task_id)
    root = file.parents[2]
    run = RunDirectory(root / work["runs"][index])
    claim = latest_claim(run.attempts)
    if claim is None or claim.submission != work["id"]:
        print(f"{run.path}: another launch has submitted this run since; nothing is done here")
        return 1
    written = run.read_state()
    if written.state == State.DONE and (not written.steps or written.steps >= run.read_config().steps):
        return 0  # Slurm requeued the job before it noticed its end
    if place.global_rank == 0 and (job := SlurmJob.of_this_process()) is not None:
        job.rename(run.name)
    restarts = os.environ.get("SLURM_RESTART_COUNT", "0")
    meeting = file.parent / f"meeting-{place.raw_job_id}-{restarts}.json"
    run_stage(work["modules"][index], run.path, place, meeting)
    # An interrupted job that is not requeued must not count as a success, or what depends on it would start.
    return int(place.global_rank == 0 and run.read_state().state == State.INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
