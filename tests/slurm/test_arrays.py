"""What a real Slurm does with arrays, limits and other users: the last element first, ids at equal distances."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from helpers.constants import ROOT, TINY
from helpers.slurm_queue import ask_slurm, owned, queued, sbatch_that
from sweep.dispatch import slurm as commands
from sweep.run.claims import read_submissions

HELD = [*TINY, "cluster.sbatch={hold:true}"]
# The last element has the raw id of its array. Its first attempt is requeued when it is told of its time limit.
ELEMENT = """\
import os, signal, sys, time
from sweep.run.slurm_job import STOP_SIGNALS, SlurmJob
signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
job = SlurmJob.of_this_process()
with open(sys.argv[1], "a") as file:
    print(job.id, job.being_preempted(), file=file)
job.rename("name-of-" + job.id)
if job.id.endswith("_0"):
    sys.exit(3)
if "SLURM_RESTART_COUNT" not in os.environ:
    signal.sigwait({signal.SIGUSR2})
    job.requeue()
    time.sleep(60)
"""


def ended(job: str) -> dict[str, list[str]]:
    lines = ask_slurm("sacct", "-X", "-n", "-P", "-j", job, "-o", "JobID,State,JobName")
    return {line.split("|")[0]: line.split("|")[1:] for line in lines}


def until(true, seconds: float = 90):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_the_last_element_is_not_its_array(slurm, tmp_path):
    """Requeued and renamed alone: its failed and its cancelled sibling stay what they are."""
    (tmp_path / "element.py").write_text(ELEMENT)
    started = tmp_path / "started"
    run = f"SUBMITIT_EXECUTOR=slurm PYTHONPATH={ROOT} {sys.executable} {tmp_path}/element.py {started}"
    asked = ["--array=0-2", "--requeue", "--signal=USR2@60", "-o", "/dev/null", f"--chdir={tmp_path}"]
    (array,) = ask_slurm("sbatch", "--parsable", *asked, "--wrap", f"exec srun env {run}")
    until(lambda: started.exists() and len(started.read_text().splitlines()) == 3)
    assert sorted(started.read_text().splitlines()) == [f"{array}_{index} False" for index in range(3)]
    raw = {index: ask_slurm("squeue", "-h", "-j", f"{array}_{index}", "-o", "%A")[0] for index in (1, 2)}
    assert raw[2] == array != raw[1]
    subprocess.run(["scancel", f"{array}_1"], check=True)
    subprocess.run(["scancel", "--signal=USR2", f"{array}_2"], check=True)
    until(lambda: commands.queue()[f"{array}_2"].state in ("COMPLETED", "FAILED"))
    until(lambda: ended(array)[f"{array}_2"][0] == "COMPLETED")
    assert sorted(started.read_text().splitlines())[2:] == [f"{array}_2 False"] * 2
    found = ended(array)
    assert found[f"{array}_0"] == ["FAILED", f"name-of-{array}_0"]
    assert found[f"{array}_1"] == [
        "CANCELLED by 0" if os.getuid() == 0 else found[f"{array}_1"][0],
        f"name-of-{array}_1",
    ]
    assert found[f"{array}_2"] == ["COMPLETED", f"name-of-{array}_2"]
    assert commands.history([f"{array}_0"])[f"{array}_0"].exit == "3:0"


def test_ids_at_equal_distances_and_in_long_lists_are_all_read(slurm, tmp_path):
    indices = [i for i in range(0, 400, 3) if i % 7]
    lists = ["1-15:2", "0-600:3", "0-4,9,12%2", ",".join(map(str, indices))]
    asked = ["--hold", "--parsable", f"--chdir={tmp_path}", "--comment=one | two", "-o", "/dev/null", "--wrap", "true"]
    arrays = [ask_slurm("sbatch", f"--array={given}", *asked)[0] for given in lists]
    expected = [range(1, 16, 2), range(0, 601, 3), (0, 1, 2, 3, 4, 9, 12), indices]
    found = commands.queue()
    for array, elements in zip(arrays, expected, strict=True):
        views = {job: view for job, view in found.items() if job.startswith(f"{array}_")}
        assert sorted(views) == sorted(f"{array}_{index}" for index in elements)
        assert {(view.state, view.comment) for view in views.values()} == {("PENDING", "one | two")}
        until(lambda elements=elements, array=array: len(commands.history([array])) == len(elements))
    commands.cancel([f"{arrays[0]}_15"])
    left = [job for job, view in commands.queue().items() if job.startswith(f"{arrays[0]}_") and view.alive]
    assert sorted(left) == sorted(f"{arrays[0]}_{index}" for index in range(1, 15, 2))


def as_administrator(*command: str) -> None:
    done = subprocess.run(["sacctmgr", "-iQ", *command], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to change accounts: {done.stderr.strip()}")


@pytest.fixture
def five_jobs():
    """An account that may have five jobs at a time."""
    if not any("limits" in line for line in ask_slurm("scontrol", "show", "config") if "StorageEnforce" in line):
        pytest.skip("this Slurm enforces no limits: AccountingStorageEnforce lacks them")
    me = commands.user()
    subprocess.run(["sacctmgr", "-iQ", "add", "account", "five"], capture_output=True)
    subprocess.run(["sacctmgr", "-iQ", "add", "user", me, "account=five"], capture_output=True)
    as_administrator("modify", "user", me, "where", "account=five", "set", "maxsubmitjobs=5")
    return "five"


def test_what_a_submit_limit_lets_through_is_submitted_and_the_next_launch_goes_on(slurm, tmp_path, five_jobs):
    sweep = [*HELD, "name=many", "reward=random", "seed=range(0,9)", f"cluster.account={five_jobs}"]
    done = slurm.launch(*sweep, check=False)
    assert done.returncode == 1, done.stderr
    assert "4 cells and 1 stage submitted" in done.stdout
    assert "5 runs not submitted: sbatch: AssocMaxSubmitJobLimit" in done.stdout
    assert len(queued(tmp_path)) == 5
    states = list(slurm.statuses("many").values())
    assert [s["state"] for s in states] == ["queued"] * 5 + ["not submitted"] * 5
    assert "AssocMaxSubmitJobLimit" in states[-1]["note"]
    nothing = slurm.launch(*sweep, check=False)
    assert nothing.returncode == 1 and "0 cells and 0 stages submitted" in nothing.stdout
    slurm.command("cancel", "many", "seed=[012]")
    again = slurm.command("retry", "many", "seed=[345678]", check=False)
    assert again.returncode == 1 and "3 cells and 0 stages submitted" in again.stdout
    assert len(queued(tmp_path)) == 5 and set(queued(tmp_path)) <= set(owned(tmp_path))


@pytest.fixture
def somebody_else():
    """Another user of the cluster, whose jobs this one may submit and cancel."""
    if os.getuid() != 0:
        pytest.skip("submitting as another user needs root")
    subprocess.run(["sacctmgr", "-iQ", "add", "user", "nobody", "account=lab"], capture_output=True)
    yield "nobody"
    subprocess.run(["scancel", "--user=nobody"], check=True)


def test_what_another_user_submitted_is_adopted(slurm, tmp_path, somebody_else):
    as_other = f'exec runuser -u {somebody_else} -- $real <"$1"'
    sweep = [*HELD, "name=ours", "reward=random"]
    environment = sbatch_that(tmp_path, as_other)
    done = subprocess.run(slurm._launch(tuple(sweep)), cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "1 cell and 1 stage submitted" in done.stdout, done.stderr
    for submission in read_submissions(tmp_path / "runs"):
        submission.write(user=somebody_else)
    assert queued(tmp_path) == []  # `squeue --me` hides them
    assert {s["state"] for s in slurm.statuses("ours").values()} == {"queued"}
    again = slurm.launch(*sweep)
    assert "0 cells and 0 stages submitted" in again.stdout
    assert f"in the queue before: 2 runs (jobs of {somebody_else} among them)" in again.stdout


def test_a_job_inherits_nothing_of_another_job_and_its_death_has_a_reason(slurm, tmp_path, monkeypatch):
    """The launch is made as from within an allocation; the job's own shell is killed at once."""
    for name in ("SLURM_JOB_ID", "SLURM_NTASKS", "SBATCH_PARTITION", "SRUN_DEBUG", "PMI_RANK", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.setenv(name, "7")
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "SQUEUE_PARTITION", "OWN_VARIABLE"):
        monkeypatch.setenv(name, "7")
    seen = tmp_path / "seen"
    lines = [f"env >{seen}", 'echo "OSError: no device" >&2', 'echo "Loading: 100%|##|" >&2', "kill -9 $$"]
    setup = ",".join(f"'{line}'" for line in lines)
    done = slurm.launch(*TINY, "name=dies", "reward=random", f"cluster.setup=[{setup}]")
    assert "SBATCH_PARTITION of this shell is not used; cluster.partition asks for it" in done.stdout
    stage = slurm.wait_for_the_end("dies", 90)["baseline of qwen2_mini"]
    inherited = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
    assert inherited["OWN_VARIABLE"] == inherited["SQUEUE_PARTITION"] == "7"
    assert inherited["SLURM_CONF"] == os.environ["SLURM_CONF"]
    assert inherited["SLURM_JOB_ID"] != "7" and inherited["SLURM_NTASKS"] != "7"
    absent = ("SBATCH_PARTITION", "SRUN_DEBUG", "PMI_RANK", "OMPI_COMM_WORLD_SIZE", "RANK", "WORLD_SIZE", "MASTER_ADDR")
    assert not inherited.keys() & {*absent, "LOCAL_RANK"}
    until(lambda: slurm.statuses("dies")["baseline of qwen2_mini"]["note"].startswith("killed"), 30)
    stage = slurm.statuses("dies")["baseline of qwen2_mini"]
    assert stage["state"] == "failed"
    assert stage["note"] == "killed by signal 9 (out of memory?): OSError: no device"


def test_a_watch_outlives_a_controller_that_is_away_once(slurm, tmp_path):
    slurm.launch(*HELD, "name=away", "reward=random")
    real = subprocess.run(["which", "squeue"], capture_output=True, text=True, check=True).stdout.strip()
    folder = tmp_path / "bin"
    folder.mkdir()
    counting = f"n=$(cat {folder}/n 2>/dev/null || echo 0); echo $((n + 1)) >{folder}/n"
    away = 'echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2; exit 1'
    (folder / "squeue").write_text(f'#!/bin/bash\n{counting}\n[ $n = 1 ] && {{ {away}; }}\nexec {real} "$@"\n')
    (folder / "squeue").chmod(0o755)
    watch = subprocess.Popen(
        [sys.executable, "-m", "sweep", "status", "away", "--watch", "--output-dir", str(tmp_path / "runs")],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    shown = ""
    while "Slurm answers again" not in shown:
        line = watch.stdout.readline()
        assert line, shown
        shown += line
    watch.terminate()
    watch.wait(timeout=60)
    assert "Unable to contact slurm controller" in shown and shown.count("queued") >= 2

    nowhere = {**os.environ, "PATH": "/nowhere"}
    command = [sys.executable, "-m", "sweep", "status", "away", "--output-dir", str(tmp_path / "runs")]
    status = subprocess.run(command, cwd=ROOT, env=nowhere, capture_output=True, text=True)
    assert status.returncode == 0 and status.stdout.count("queued") == 2
    assert "Slurm does not answer" in status.stderr and "no such command here" in status.stderr
