"""`doctor` on a real Slurm: its limits against what cells ask, a job that looks at a node, and a sweep's jobs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from helpers.constants import TINY
from helpers.documented import bash_words, commands
from helpers.slurm_queue import ask_accounts, queued
from sweep.__main__ import main
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json

SMALL = ["cluster=slurm", "cluster.cpus_per_process=1", "resources.hours=0.5", "tracking.mode=offline"]


def doctor(slurm, *words: str, code: int = 0) -> dict:
    """The JSON that the command prints; in this process, which saves starting one."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        ended = main(["doctor", *words, "--json", "--output-dir", str(slurm.root / "runs")])
    assert ended == code, said.getvalue()
    return json.loads(said.getvalue())


def not_ok(told: dict) -> list[dict]:
    """What is broken or odd, but for an environment that is not the lock's."""
    left_out = ("ok", "not checked")
    return [one for one in told["findings"] if one["level"] not in left_out and one["check"] != "packages.lock"]


def leaves_the_queue(root: Path, seconds: float = 30) -> bool:
    """Whether no job under `root` is in the queue after a while; a cancelled one takes some moments to go."""
    deadline = time.monotonic() + seconds
    while queued(root) and time.monotonic() < deadline:
        time.sleep(0.5)
    return not queued(root)


@pytest.mark.parametrize(
    ("asked", "check", "remedy"),
    [
        ([], None, ""),
        (["cluster.partition=nosuch"], "slurm.partition", "cluster.partition=NAME"),
        (["cluster.partition=low", "resources.hours=48"], "slurm.time", "resources.hours=24"),
        (["resources.gpus=4"], "slurm.nodes", "cluster.processes_per_node=2"),
        (["cluster.gpu_type=h100", "resources.gpus=1"], "slurm.nodes", "cluster.gpu_type=null"),
        (["cluster.cpus_per_process=64"], "slurm.nodes", "cluster.cpus_per_process=8"),
        (["resources.memory_gb=500"], "slurm.nodes", "resources.memory_gb=4"),
        (["cluster.account=other"], "slurm.account", "cluster.account="),  # other tests add accounts beside lab
        (["cluster.qos=high"], "slurm.qos", "cluster.qos=normal"),
        (["cluster.constraint=infiniband"], "slurm.request", "plan"),  # only sbatch itself knows
    ],
)
def test_what_the_cluster_would_refuse(slurm, asked, check, remedy):
    told = doctor(slurm, *SMALL, *asked, code=int(bool(check)))
    assert [one["check"] for one in not_ok(told)] == ([check] if check else [])
    if check:
        assert remedy in not_ok(told)[0]["remedy"]
    seen = next(one["seen"] for one in told["findings"] if one["check"] == "slurm.controller")
    assert re.fullmatch(r"Slurm [\d.]+, cluster onebox, partitions low, nograce, high", seen)


@pytest.mark.parametrize(
    "command", [c for c in commands("python -m sweep doctor", pages=["docs/doctor.md"]) if "cluster=" in c]
)
def test_commands_of_the_page(slurm, tmp_path, command):
    words = bash_words(command, tmp_path)[3:]
    small = SMALL[1:] if "--on-node" in words else []
    told = doctor(slurm, *words, *small, code=int(not small))  # a made up cluster, and a model that is too large
    assert bool(told["node"]) == bool(small)


def test_a_job_looks_at_a_node_and_leaves_nothing(slurm, tmp_path):
    told = doctor(slurm, *SMALL, "--on-node")
    on_node = [one for one in told["findings"] if one["place"] == f"node {told['node']}"]
    assert re.fullmatch(r"n\d", told["node"]) and not not_ok(told)
    checks = {one["check"] for one in on_node}
    assert {"node.python", "node.code", "node.locks", "node.clock", "torch.import", "output_dir.file_system"} <= checks
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["code"]
    assert leaves_the_queue(tmp_path)


@pytest.mark.parametrize(
    ("asked", "code", "level", "says"),
    [
        (["cluster.sbatch={hold:true}"], 0, "not checked", "did not start within 0.1 minutes (JobHeldUser)"),
        (["cluster.python=/nowhere/python"], 1, "broken", "/nowhere/python"),
        (["cluster.setup=['echo no such module >&2', 'exit 3']"], 1, "broken", "no such module"),
        (["resources.gpus=1"], 1, "broken", "asked for a GPU, was started, and sees none"),  # Slurm's are pretended
    ],
)
def test_a_job_that_says_nothing_good(slurm, tmp_path, asked, code, level, says):
    minutes = "0.1" if level == "not checked" else "5"
    told = doctor(slurm, *SMALL, *asked, "--on-node", "--start-minutes", minutes, code=code)
    (one,) = [one for one in told["findings"] if one["check"] in ("node.job", "gpu.count")]
    assert one["level"] == level and says in one["seen"] and one["remedy"]
    assert leaves_the_queue(tmp_path) and not (tmp_path / "runs" / "doctor").exists()


def test_no_job_is_submitted_for_cells_that_would_be_refused(slurm, tmp_path):
    told = doctor(slurm, *SMALL, "cluster.partition=nosuch", "--on-node", code=1)
    (one,) = [one for one in told["findings"] if one["check"] == "node.job"]
    assert one["level"] == "not checked" and told["node"] is None
    assert not queued(tmp_path)


def test_a_sweep_and_its_jobs(slurm, tmp_path):
    slurm.launch(*TINY, "name=s", "reward=random,ground_truth", "steps=2", "cluster.sbatch={hold:true}")
    assert not not_ok(doctor(slurm, "s"))  # it waits in the queue
    stray = next(path for path in (tmp_path / "runs" / "cells").iterdir() if "ground_truth" in path.name)
    (claim,) = stray.glob("attempts/claim-*.json")
    (job,) = [one["job"] for one in slurm.statuses("s").values() if one["run"] == stray.name]
    claim.rename(tmp_path / "claim")
    found = [one for one in not_ok(doctor(slurm, "s")) if one["check"] == "slurm.stray_job"]
    assert [one["remedy"] for one in found] == [f"scancel {job}"]
    (tmp_path / "claim").rename(claim)
    subprocess.run(["scontrol", "release", *queued(tmp_path)], check=True)
    ended = slurm.wait_for_the_end("s")
    assert {one["state"] for one in ended.values()} == {"done"}
    ask_accounts(job, "State")  # until accounting has heard of its end
    assert not not_ok(doctor(slurm, "s", "--hashes"))

    record = RunDirectory(stray).path / "state.json"
    written = json.loads(record.read_text())
    write_json(record, {**written, "spent": [{**written["spent"][0], "began": written["spent"][0]["began"] - 9000}]})
    (one,) = not_ok(doctor(slurm, "s"))
    assert one["check"] == "costs.slurm" and f"--jobs={job}" in one["remedy"]


def test_a_job_that_was_killed_leaves_an_orphan(slurm, tmp_path):
    slurm.launch(*TINY, "name=s", "reward=random", "steps=2000", "evaluation.every=2000")
    label = "model=qwen2_mini reward=random seed=0"
    slurm.wait("s", lambda found: found[label]["step"] >= 1)
    assert not not_ok(doctor(slurm, "s"))  # it is at work
    (path,) = (tmp_path / "runs" / "cells").iterdir()
    os.kill(RunDirectory(path).read_state().pid, signal.SIGKILL)
    slurm.wait_for_the_end("s")
    told = doctor(slurm, "s", code=1)
    (one,) = [one for one in not_ok(told) if one["check"] == "run.orphan"]
    assert one["place"] == label and f"retry s {path.name}" in one["remedy"]
