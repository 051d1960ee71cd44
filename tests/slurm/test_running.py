"""Jobs that run on a real Slurm: to their ends, through failures, signals, preemption, requeues and dead nodes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from helpers.constants import TINY
from helpers.slurm_queue import ask_accounts, ask_slurm
from sweep.plan.plan import plan_sweep
from sweep.run.directory import RunDirectory

CELL = "model=qwen2_mini reward={} seed={}"


def run_of(root: Path, beginning: str) -> RunDirectory:
    (path,) = (root / "runs" / "cells").glob(f"{beginning}-*")
    return RunDirectory(path)


def test_a_cell_fails_the_others_go_on_and_retry_mends_it(slurm, tmp_path):
    sweep = [*TINY, "name=mixed", "reward=random,ground_truth", "cluster.wait=true", "steps=2"]
    planned = plan_sweep([*slurm.own, *sweep, f"output_dir={tmp_path / 'runs'}"])
    broken = next(cell.directory for cell in planned.cells if cell.axes["reward"] == "random")
    broken.mkdir(parents=True)
    (broken / "checkpoints").write_text("in the way")
    done = slurm.launch(*sweep, check=False)
    assert done.returncode == 1
    found = slurm.statuses("mixed")
    failed, good = found[CELL.format("random", 0)], found[CELL.format("ground_truth", 0)]
    assert failed["state"] == "failed" and failed["note"].startswith(("FileExistsError", "NotADirectoryError"))
    assert good["state"] == "done"
    assert (ask_accounts(failed["job"], "State"), ask_accounts(good["job"], "State")) == ("FAILED", "COMPLETED")
    assert ask_accounts(good["job"], "JobName") == "qwen2_mini-ground_truth-s0"
    assert "step 1/2" in slurm.command("logs", "mixed", "reward=ground*").stdout

    (broken / "checkpoints").unlink()
    said = slurm.command("retry", "mixed", "--failed", "--set", "resources.hours=1").stdout
    assert "1 cell and 0 stages submitted" in said
    assert {s["state"] for s in slurm.wait_for_the_end("mixed").values()} == {"done"}
    assert RunDirectory(broken).read_config().resources.hours == 1
    assert "0 cells and 0 stages submitted" in slurm.launch(*sweep).stdout


def test_a_broken_stage_blocks_its_cells_and_retry_mends_the_chain(slurm, tmp_path):
    broken = ["cluster.setup=['sleep 2', 'echo no such module >&2', 'exit 3']"]
    slurm.launch(*TINY, "name=chain", "reward=random,ground_truth", "steps=1", *broken)
    cells = [s["job"] for label, s in slurm.statuses("chain").items() if label.startswith(CELL.partition("{")[0])]
    assert len(cells) == 2
    # So that Slurm does not yet see that what they wait for will not be; on a busy machine it may have seen it.
    subprocess.run(["scontrol", "hold", *cells], capture_output=True)
    found = slurm.wait_for_the_end("chain")
    stage = found.pop("baseline of qwen2_mini")
    assert (stage["state"], stage["note"]) == ("failed", "no such module")
    assert {(s["state"], s["note"]) for s in found.values()} == {("blocked", "baseline of qwen2_mini failed")}
    # The same end three times in a row: it is not tried for ever, unless someone insists.
    for _ in range(2):
        assert "2 cells and 1 stage submitted" in slurm.command("retry", "chain").stdout
        slurm.wait_for_the_end("chain")
    hopeless = slurm.command("retry", "chain", check=False)
    assert hopeless.returncode == 1
    assert "ended the same way several times in a row (failed: no such module)" in hopeless.stdout
    assert "2 runs wait for one of those" in hopeless.stdout
    # What it runs under was changed: that is another chance, for a launch as well.
    assert (
        "2 cells and 1 stage submitted"
        in slurm.launch(*TINY, "name=chain", "reward=random,ground_truth", "steps=1").stdout
    )
    assert {s["state"] for s in slurm.wait_for_the_end("chain").values()} == {"done"}


def test_interruptions_of_every_kind_lose_nothing(slurm, tmp_path):
    """Four jobs, a node each: told of their time limit, requeued, preempted, and on a node that dies."""
    steps = 2000
    sweep = [*TINY, "name=night", "reward=random", "seed=0,1,2,3", f"steps={steps}", f"evaluation.every={steps}"]
    sweep += ["checkpoint.every=5", "tracking.mode=offline", "cluster.sbatch={exclusive:true,partition:low}"]
    slurm.launch(*sweep)
    labels = [CELL.format("random", seed) for seed in range(4)]
    found = slurm.wait("night", lambda found: all(found[label]["step"] >= 6 for label in labels))
    told, requeued, preempted, dead = (found[label]["job"] for label in labels)
    node = {job: ask_slurm("squeue", "-h", "-j", job, "-o", "%N")[0] for job in (told, requeued, preempted, dead)}
    assert len(set(node.values())) == 4
    assert found[labels[0]]["save_seconds"] > 0 and found[labels[0]]["grace_seconds"] > 0
    rows = [len(run_of(tmp_path, f"qwen2_mini-random-s{seed}").read_metrics()) for seed in range(4)]
    subprocess.run(["scancel", "--signal=USR2", told], check=True)
    subprocess.run(["scontrol", "requeue", requeued], check=True)
    urgent = ["sbatch", "-p", "high", "-w", node[preempted], "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1"]
    subprocess.run(urgent, check=True, capture_output=True)
    kill_node(node[dead], dead, run_of(tmp_path, "qwen2_mini-random-s3").read_state().pid)
    try:
        slurm.wait("night", lambda found: found[labels[3]]["state"] == "requeued")
    finally:
        subprocess.run(["slurmd", "-N", node[dead]], check=True)
    runs = [run_of(tmp_path, f"qwen2_mini-random-s{seed}") for seed in range(4)]
    again = slurm.wait("night", lambda _: all(goes_on(run, before) for run, before in zip(runs, rows, strict=True)))
    assert [again[label]["job"] for label in labels] == [told, requeued, preempted, dead]
    slurm.command("cancel", "night")
    found = slurm.wait_for_the_end("night")
    assert {found[label]["state"] for label in labels} == {"cancelled"}
    for seed, before in enumerate(rows):
        run = run_of(tmp_path, f"qwen2_mini-random-s{seed}")
        written = [row["step"] for row in run.read_metrics()]
        assert written == list(range(1, len(written) + 1)), f"seed {seed}"
        assert len(written) >= before - 5
    log = run_of(tmp_path, "qwen2_mini-random-s0").log.read_text()
    assert "back into the queue" in log and "resumed after step" in log
    assert "back into the queue" in run_of(tmp_path, "qwen2_mini-random-s2").log.read_text()


def goes_on(run: RunDirectory, steps_before: int) -> bool:
    """Whether a second attempt has come further than the first."""
    state = run.read_state()
    return state.attempt > 1 and state.step > steps_before + 10


def kill_node(name: str, job: str, training: int) -> None:
    """What the loss of a machine looks like on this one: its daemon, the job's steps and the job die at once."""
    home = Path(os.environ["SLURM_CONF"]).parent
    daemon = home / f"slurmd-{name}.pid"
    (raw,) = ask_slurm("squeue", "-h", "-j", job, "-o", "%A")
    steps = [int(pid) for pid in ask_slurm("pgrep", "-f", rf"slurmstepd: \[{raw}\.")]
    # Another Slurm on this machine may have a job of that number, too.
    steps = [pid for pid in steps if home in Path(f"/proc/{pid}/cwd").resolve().parents]
    for pid in (int(daemon.read_text()), *steps, training):
        os.kill(pid, signal.SIGKILL)


def test_a_process_that_stands_still_has_stalled(slurm, tmp_path):
    slurm.launch(*TINY, "name=still", "reward=random", "steps=2000", "evaluation.every=2000")
    found = slurm.wait("still", lambda found: found[CELL.format("random", 0)]["step"] >= 1)
    run = run_of(tmp_path, "qwen2_mini-random-s0")
    os.kill(run.read_state().pid, signal.SIGSTOP)
    long_ago = time.time() - 600
    os.utime(run.path / "heartbeat", (long_ago, long_ago))
    status = slurm.statuses("still")[CELL.format("random", 0)]
    assert (status["state"], status["note"]) == ("stalled", "no heartbeat for 10 min")
    subprocess.run(["scancel", "--signal=KILL", found[CELL.format("random", 0)]["job"]], check=True)


def test_a_process_that_hangs_sends_its_job_back_into_the_queue(slurm, tmp_path):
    sweep = [*TINY, "name=hang", "reward=random", "steps=2000", "evaluation.every=2000", "checkpoint.every=5"]
    sweep += ["resources.gpus=2", "cluster.processes_per_node=1", "checks.stall_minutes=0.1", "checks.stall_factor=2"]
    slurm.launch(*sweep)
    label = CELL.format("random", 0)
    found = slurm.wait("hang", lambda found: found[label]["step"] >= 6)
    run = run_of(tmp_path, "qwen2_mini-random-s0")
    (file,) = run.ranks.glob("*/1.json")
    os.kill(json.loads(file.read_text())["pid"], signal.SIGSTOP)
    before = run.read_state().step
    again = slurm.wait("hang", lambda _: run.read_state().attempt > 1 and run.read_state().step > before)
    assert again[label]["job"] == found[label]["job"]
    log = run.log.read_text()
    assert "no progress: rank 1 has not answered" in log and "resumed after step" in log
    slurm.command("cancel", "hang")
    assert slurm.wait_for_the_end("hang")[label]["state"] == "cancelled"
    steps = [row["step"] for row in run.read_metrics()]
    assert steps == list(range(1, len(steps) + 1))


def test_two_nodes_of_two_processes_train_one_cell(slurm, tmp_path):
    shape = ["resources.gpus=4", "cluster.processes_per_node=2", "steps=2"]
    slurm.launch(*TINY, *shape, "name=wide", "reward=random")
    found = slurm.wait_for_the_end("wide")
    assert {s["state"] for s in found.values()} == {"done"}
    status = found[CELL.format("random", 0)]
    line = ask_accounts(status["job"], "NNodes,AllocTRES")
    assert line.startswith("2|") and "gres/gpu=4" in line
    run = run_of(tmp_path, "qwen2_mini-random-s0")
    assert [row["step"] for row in run.read_metrics()] == [1, 2]
    meetings = [json.loads(p.read_text()) for p in tmp_path.glob("runs/submissions/*/meeting-*.json")]
    assert len(meetings) == 2 and all(m["hosts"][0] == socket.gethostname() for m in meetings)
