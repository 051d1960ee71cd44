"""Submitting to a real Slurm: arrays, adoption, killed and competing shells, refusals. Most jobs here are held."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from helpers.constants import ROOT, TINY
from helpers.shells import SlurmShell
from helpers.slurm_queue import ask_slurm, owned, queued, sbatch_that
from sweep.run.claims import latest_claim, read_submission

HELD = [*TINY, "cluster.sbatch={hold:true}"]


def assert_each_run_is_queued_once(root: Path, count: int) -> None:
    jobs = queued(root)
    assert sorted(jobs) == sorted(owned(root))
    assert len(jobs) == count and max(Counter(jobs).values()) == 1


def test_a_launch_returns_and_another_submits_nothing_twice(slurm, tmp_path):
    sweep = [*HELD, "name=grid", "model=qwen2_mini,llama3_mini", "reward=random,ground_truth", "seed=0,1"]
    first = slurm.launch(*sweep, "cluster.max_parallel=3")
    assert "8 cells and 2 stages submitted" in first.stdout
    assert_each_run_is_queued_once(tmp_path, 10)
    names = {line for line in ask_slurm("squeue", "--me", "-h", "-o", "%j %Z") if str(tmp_path) in line}
    assert any(name.startswith("qwen2_mini-random+ground_truth-s0..1 ") for name in names)
    arrays = [line for line in ask_slurm("squeue", "--me", "-h", "-o", "%i|%E|%Z") if str(tmp_path) in line]
    assert len(arrays) == 3  # the stages, and for each model the four cells that wait for its stage
    assert sum(int(m) for m in re.findall(r"%(\d+)\]", " ".join(arrays))) == 3
    states = slurm.statuses("grid")
    assert {s["state"] for s in states.values()} == {"queued"}
    held = states["model=qwen2_mini reward=random seed=0"]
    assert held["note"] in ("Dependency", f"JobHeldUser: `scontrol release {held['job']}` lets it go on")

    # Editing the configuration of what waits: nothing changes for it, and nothing is submitted again.
    run = next((tmp_path / "runs" / "cells").iterdir())
    before = (run / "config.yaml").read_bytes()
    again = slurm.launch(*sweep, "checkpoint.keep=3")
    assert "0 cells and 0 stages submitted" in again.stdout and "in the queue before: 10 runs" in again.stdout
    assert (run / "config.yaml").read_bytes() == before
    assert_each_run_is_queued_once(tmp_path, 10)

    cancelled = slurm.command("cancel", "grid", "reward=random", "model=qwen*").stdout
    assert cancelled.count("cancelled model=qwen2_mini reward=random") == 2
    assert Counter(s["state"] for s in slurm.statuses("grid").values()) == {"queued": 8, "cancelled": 2}
    third = slurm.launch(*sweep)
    assert "2 cells and 0 stages submitted" in third.stdout
    assert_each_run_is_queued_once(tmp_path, 10)


@pytest.mark.parametrize(
    "moment", ["before the job is in the queue", "after the job is in the queue", "while sbatch has still to submit"]
)
def test_a_shell_killed_at_any_moment_leaves_nothing_lost_or_twice(slurm, tmp_path, moment):
    sweep = [*HELD, "name=killed", "reward=random,ground_truth"]
    kill = {
        "before the job is in the queue": "kill -9 $PPID; exit 1",
        "after the job is in the queue": '$real "$@"; kill -9 $PPID',
        "while sbatch has still to submit": f'kill -9 $PPID; until [ -e {tmp_path}/go ]; do sleep 1; done; $real "$@"',
    }[moment]
    # The stage is submitted whole; the shell dies over the cells.
    environment = sbatch_that(tmp_path, f'[ $n = 0 ] && exec $real "$@"\n{kill}')
    killed = subprocess.run(slurm._launch(tuple(sweep)), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    assert killed.returncode == -9
    states = [s["state"] for s in slurm.statuses("killed").values()]
    if moment.startswith("before"):
        assert states == ["queued", "not submitted", "not submitted"]
        assert "2 cells and 0 stages submitted" in slurm.command("retry", "killed").stdout
    else:
        again = slurm.launch(*sweep)
        adopted = {"after": 3, "while": 1}[moment.split()[0]]
        assert states == ["queued"] * adopted + ["not submitted"] * (3 - adopted)
        assert f"in the queue before: {adopted} run" in again.stdout
    if moment.startswith("while"):
        (tmp_path / "go").touch()
        slurm.wait("killed", lambda _: len(queued(tmp_path)) == 5)  # two of them superseded: they do nothing
        late = set(queued(tmp_path)) - set(owned(tmp_path))
        assert len(late) == 2
        for job in late:
            subprocess.run(["scontrol", "update", f"JobId={job}", "Dependency="], check=True)
            subprocess.run(["scontrol", "release", job], check=True)
        slurm.wait("killed", lambda _: not late & set(queued(tmp_path)))
        assert "another launch has submitted this run since" in "".join(
            p.read_text() for p in tmp_path.rglob("*_log.out")
        )
        assert not list(tmp_path.glob("runs/cells/*/state.json"))
    assert_each_run_is_queued_once(tmp_path, 3)


def test_two_shells_at_once_share_the_work(slurm, tmp_path):
    sweep = [*HELD, "name=race", "reward=random,ground_truth,format", "seed=range(0,8)"]
    shells = [
        subprocess.Popen(slurm._launch(tuple(sweep)), cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = [shell.communicate(timeout=600)[0] for shell in shells]
    assert [shell.returncode for shell in shells] == [0, 0, 0], said
    assert_each_run_is_queued_once(tmp_path, 25)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["cluster.partition=nowhere"], ["invalid partition", "cluster.partition=nowhere"]),
        (["cluster.account=nobody"], ["Invalid account", "cluster.account=nobody"]),
        (["cluster.qos=gold"], ["Invalid qos", "cluster.qos=gold"]),
        (["resources.memory_gb=4000"], ["Requested node configuration is not available", "resources.memory_gb=4000"]),
        (["resources.gpus=8", "algorithm.prompts_per_step=8"], ["Requested node configuration is not available"]),
        (["cluster.constraint=fast"], ["Invalid feature specification", "cluster.constraint=fast"]),
        (["cluster.sbatch={no-such-option:1}"], ["unrecognized option", "no-such-option"]),
        (
            ["resources.gpus=3", "cluster.processes_per_node=2", "algorithm.prompts_per_step=3"],
            ["cluster.processes_per_node=2", "2 or 4 would do"],
        ),
    ],
    ids=lambda value: value[0] if "=" in value[0] else None,
)
def test_what_slurm_refuses_is_refused_in_its_words_before_anything_is_written(slurm, tmp_path, overrides, words):
    done = slurm.launch(*TINY, "seed=0,1", *overrides, check=False)
    assert done.returncode == 2
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_in_the_middle_is_told_and_in_the_ledger(slurm, tmp_path):
    refusal = '{ echo "sbatch: error: Transport endpoint is busy" >&2; exit 1; }'
    environment = sbatch_that(tmp_path, f'[ $n = 1 ] && {refusal}\nexec $real "$@"')
    sweep = [*HELD, "name=limit", "reward=random,ground_truth"]
    done = subprocess.run(slurm._launch(tuple(sweep)), cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Transport endpoint is busy; 1 runs were submitted before it, and are in the ledger" in done.stderr
    assert "; see" not in done.stderr
    states = slurm.statuses("limit")
    assert [s["state"] for s in states.values()] == ["queued", "not submitted", "not submitted"]
    assert "Transport endpoint is busy" in states["model=qwen2_mini reward=random seed=0"]["note"]
    assert "2 cells and 0 stages submitted" in slurm.launch(*sweep).stdout
    assert_each_run_is_queued_once(tmp_path, 3)


def test_without_slurm_the_message_says_so(slurm, tmp_path, monkeypatch):
    with monkeypatch.context() as without:
        without.setenv("PATH", "/nowhere")
        done = slurm.launch(*TINY, check=False)
    assert done.returncode == 2
    assert "no such command here" in done.stderr and "cluster=local" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_an_output_directory_that_takes_nothing_ends_with_one_message(slurm, tmp_path, fault):
    disk = tmp_path / "disk"
    disk.mkdir()
    options = "size=300k" if fault == "full" else "ro"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", disk], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        done = SlurmShell(disk, slurm.cache_dir).launch(*HELD, check=False)
        assert done.returncode == 2
        assert f"output_dir={disk}/runs: " in done.stderr and "Traceback" not in done.stderr
        assert {"full": "No space left on device", "read-only": "Read-only file system"}[fault] in done.stderr
        assert not [line for line in ask_slurm("squeue", "--me", "-h", "-o", "%Z") if str(disk) in line]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_cluster_of_ones_own_outside_the_repository(slurm, tmp_path):
    groups = tmp_path / "groups" / "cluster"
    groups.mkdir(parents=True)
    (groups / "mine.yaml").write_text(
        "defaults: [slurm]\nname: mine\npartition: low\naccount: lab\ncpus_per_process: 1\nconstraint: null\n"
        "sbatch: {nice: 7, hold: true}\nsetup: ['export GREETING=hello']\nenv: {NCCL_DEBUG: WARN}\n"
        f"python: env FROM_WRAPPER=1 {sys.executable}\n"
    )
    config = ["--config-dir", str(tmp_path / "groups")]
    slurm.own = ()
    slurm.launch(*TINY, *config, "cluster=mine", "name=mine", "resources.memory_gb=0.5", "resources.hours=2")
    (cell,) = tmp_path.glob("runs/cells/*")
    (file,) = tmp_path.glob(f"runs/submissions/{latest_claim(cell / 'attempts').submission}/*submission.sh")
    script = file.read_text()
    for line in ("--partition=low", "--account=lab", "--nice=7", "--mem=512M", "--time=120", "--cpus-per-task=1"):
        assert f"#SBATCH {line}\n" in script
    assert "export GREETING=hello" in script and "NCCL_DEBUG" not in script
    (environment,) = tmp_path.glob(f"runs/submissions/{latest_claim(cell / 'attempts').submission}/environment.sh")
    assert environment.read_text() == "export NCCL_DEBUG=WARN\n" and f". {environment}" in script
    assert "env FROM_WRAPPER=1" in script
    assert_each_run_is_queued_once(tmp_path, 2)


def test_another_evaluation_waits_for_the_training_that_is_in_the_queue(slurm, tmp_path):
    """It is neither trained twice nor evaluated too early: the evaluation is a job behind the one that trains."""
    run = [*TINY, "steps=2", "name=once", "reward=random"]
    slurm.launch(*run, "cluster.sbatch={hold:true}")
    second = slurm.launch(*run, "evaluation.samples_per_problem=3")
    assert "1 cell and 1 stage submitted" in second.stdout and "in the queue before: 1 run" in second.stdout
    waiting = [line for line in ask_slurm("squeue", "--me", "-h", "-o", "%i|%E|%Z") if str(tmp_path) in line]
    training = next(p for p in (tmp_path / "runs" / "cells").iterdir())
    job = read_submission(tmp_path / "runs", latest_claim(training / "attempts").submission).job
    assert any(f"afterok:{job}_0" in line for line in waiting)
    subprocess.run(["scontrol", "release", *queued(tmp_path)], check=True)
    ended = slurm.wait_for_the_end("once")
    assert {state["state"] for state in ended.values()} == {"done"}
    evaluations = {c["evaluation"]: c for c in slurm.sweep("compare", "once")["cells"]}
    assert len(evaluations) == 2 and all(c["unlike"] == "" and c["step"] == 2 for c in evaluations.values())
    assert len(list((tmp_path / "runs" / "cells").iterdir())) == 1
