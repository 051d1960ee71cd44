"""Jobs side by side on a real Slurm, as people watch them; what depends on labels; and a preemption without grace."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading

from helpers.constants import ROOT, TINY
from helpers.slurm_queue import ask_accounts, ask_slurm
from sweep.run.directory import RunDirectory

LONG = ("steps=2000", "evaluation.every=2000", "checkpoint.every=5")


def test_two_jobs_share_a_node_and_are_watched(slurm, tmp_path):
    """Each of two processes, which meet on ports of their own."""
    slurm.launch(
        *TINY, *LONG, "name=shared", "reward=random,constant", "deepspeed.processes=2", "cluster.sbatch={nodelist: n1}"
    )
    cells = [f"model=qwen2_mini reward={reward} seed=0" for reward in ("random", "constant")]
    found = slurm.wait("shared", lambda found: all(found[cell]["step"] >= 2 for cell in cells))
    jobs = [found[cell]["job"] for cell in cells]
    assert [ask_slurm("squeue", "-h", "-j", job, "-o", "%N %T") for job in jobs] == [["n1 RUNNING"]] * 2

    log = sweep_command(slurm, "logs", "shared", "reward=random", "--follow")
    lines = [log.stdout.readline() for _ in range(40)]
    assert any("step 2/2000" in line for line in lines)
    assert end(log) == 130

    screen, terminal = pty.openpty()
    watch = sweep_command(slurm, "watch", "shared", stdout=terminal)
    os.close(terminal)
    shown = ""
    while not all(text in shown for text in ("random ", "constant ", "/2000")):
        shown += os.read(screen, 65536).decode(errors="replace")
    assert end(watch) == 130

    assert f"cancelled {cells[0]} (job {jobs[0]})" in slurm.command("cancel", "shared", "reward=random").stdout
    found = slurm.wait("shared", lambda found: found[cells[0]]["state"] == "cancelled")
    assert found[cells[1]]["state"] == "running"


def sweep_command(slurm, *arguments: str, stdout=subprocess.PIPE) -> subprocess.Popen:
    command = [sys.executable, "-m", "sweep", *arguments, "--output-dir", str(slurm.root / "runs")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=stdout, text=True, env={**os.environ, "COLUMNS": "200"})
    timer = threading.Timer(180, process.kill)  # its reader then fails instead of waiting for ever
    timer.daemon = True
    timer.start()
    return process


def end(process: subprocess.Popen) -> int:
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)  # with a pipe that nobody empties it could not end
    return process.returncode


def test_labels_are_jobs_of_their_own_and_cells_wait_for_them(slurm, tmp_path):
    problems = tmp_path / "problems.jsonl"
    sums = [(a, b) for a in range(1, 6) for b in range(1, 5)]
    problems.write_text("".join(f'{{"prompt": "{a}+{b}", "answer": "{a + b}"}}\n' for a, b in sums))
    data = ["data=jsonl", f"data.path={problems}", "rollout.max_prompt_tokens=32", "labels.samples=4", "labels.jobs=2"]
    data += ["rollout.max_response_tokens=4", "algorithm.prompts_per_step=1,16"]
    slurm.launch(*TINY, *data, "name=voted", "reward=majority_vote", "steps=1")
    found = slurm.wait_for_the_end("voted")
    stages = {label: s for label, s in found.items() if label.startswith("labels")}
    assert len(stages) == 2 and {s["state"] for s in stages.values()} == {"done"}
    assert found["baseline of qwen2_mini"]["state"] == "done"
    cells = [s for label, s in found.items() if label.startswith("model=")]
    assert sorted(s["state"] for s in cells) == ["done", "refused"]
    assert any("fewer than a batch of 16" in s["note"] for s in cells)
    shown = slurm.command("labels", "voted").stdout
    assert "qwen2_mini" in shown
    started = [ask_accounts(s["job"], "Start") for s in cells]
    ended = [ask_accounts(s["job"], "End") for s in stages.values()]
    assert max(ended) <= min(started)


def test_a_preemption_without_grace_goes_on_from_the_last_checkpoint(slurm, tmp_path):
    slurm.launch(*TINY, *LONG, "name=hasty", "reward=random", "cluster.sbatch={exclusive: true, partition: nograce}")
    cell = "model=qwen2_mini reward=random seed=0"
    found = slurm.wait("hasty", lambda found: found[cell]["step"] >= 6)
    (path,) = (tmp_path / "runs" / "cells").iterdir()
    run, job = RunDirectory(path), found[cell]["job"]
    before = len(run.read_metrics())
    (node,) = ask_slurm("squeue", "-h", "-j", job, "-o", "%N")
    urgent = ["sbatch", "-p", "high", "-w", node, "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1"]
    subprocess.run(urgent, check=True, capture_output=True)
    slurm.wait("hasty", lambda found: run.read_state().attempt > 1 and run.read_state().step > before + 5)
    slurm.command("cancel", "hasty")
    assert slurm.wait_for_the_end("hasty")[cell]["job"] == job
    written = [row["step"] for row in run.read_metrics()]
    assert written == list(range(1, len(written) + 1))
    assert "resumed after step" in run.log.read_text()
