"""Seconds a cell from the shell to Slurm's queue, beside Hydra's own submitit launcher; then large sweeps alone.

    SLURM_CONF=DIR/slurm.conf python benchmarks/dispatch.py [--cells 200] [--pairs 2]

Both sides compose the same cells from this repository's conf/ and submit them as held jobs to the same Slurm, in turn.
A wrapper around sbatch notes when it returns: what counts is the time from the start of the command to the last
submission, so the peer's waiting for its jobs' ends is not held against it. The peer lives in an environment of its
own, made on first use. Last line: JSON with `ratio`, ours over the peer's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PEER = "hydra-submitit-launcher==1.2.0"
PEER_APP = """import hydra
@hydra.main(config_path={conf!r}, config_name="config", version_base="1.3")
def main(config): print(config.seed)
main()
"""
GRID_1000 = [
    "model=qwen2_mini,llama3_mini,olmo2_mini", "reward=ground_truth,random,format", "tuning=full,lora",
    "prompt=chat,r1_zero,none,irrelevant,python_prefix", "seed=range(0,11)",
]  # fmt: skip
GRID_10000 = [*GRID_1000[:-1], "seed=range(0,112)"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=2)
    asked = parser.parse_args()
    if not os.environ.get("SLURM_CONF") or shutil.which("sbatch") is None:
        sys.exit("no Slurm here: `tests/slurm/up.sh DIR`, then SLURM_CONF=DIR/slurm.conf")
    peer_python = peer_environment()
    with tempfile.TemporaryDirectory(prefix="dispatch-") as folder:
        work = Path(folder)
        rounds = []
        for number in range(asked.pairs):
            peer = time_of_peer(work / f"peer{number}", peer_python, asked.cells) / asked.cells
            ours = time_of_ours(work / f"ours{number}", [f"seed=range(0,{asked.cells})"])[0] / asked.cells
            rounds.append((ours, peer))
            print(f"pair {number + 1}: {ours:.4f} s a cell here, {peer:.4f} s with {PEER}", flush=True)
        submitted, cells = time_of_ours(work / "large", GRID_1000)
        shown = seconds(command("status", "large", "--output-dir", str(work / "large")), work)
        print(f"{cells} cells in 90 combinations of groups: submitted in {submitted:.1f} s, status in {shown:.2f} s")
        grid = command("plan", *GRID_10000, f"output_dir={work / 'plan'}", "cluster=slurm")
        planned = seconds(grid, work, codes=(0, 2))  # 2: the disk here does not hold the checkpoints of so many
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        print(f"10080 cells planned in {planned:.1f} s; the largest process of all this held {memory:.2f} GiB")
    ours, peer = (statistics.median(side) for side in zip(*rounds, strict=True))
    print(
        json.dumps(
            {
                "ratio": ours / peer, "ours_s_per_cell": ours, "peer_s_per_cell": peer, "pairs": rounds,
                "cells": asked.cells, "submit_1000_s": submitted, "status_1000_s": shown,
                "plan_10000_s": planned, "peak_gib": memory,
            }
        )
    )  # fmt: skip


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sweep", *arguments]


def seconds(arguments: list[str], work: Path, codes: tuple[int, ...] = (0,)) -> float:
    """Of a command that ends with one of `codes`."""
    began = time.perf_counter()
    with open(work / "output", "w") as output:
        code = subprocess.run(arguments, cwd=ROOT, stdout=output).returncode
    if code not in codes:
        raise subprocess.CalledProcessError(code, arguments)
    return time.perf_counter() - began


def time_of_ours(folder: Path, axes: list[str]) -> tuple[float, int]:
    """Seconds to the last submission, and how many cells there were."""
    environment, log = noting_sbatch(folder)
    place = ["cluster=slurm", "cluster.sbatch={hold:true}", f"output_dir={folder}", f"name={folder.name}"]
    began = time.time()
    subprocess.run([sys.executable, "launch.py", "-m", *axes, *place], cwd=ROOT, env=environment, check=True)
    taken = float(log.read_text().split()[-1]) - began
    cells = len(list((folder / "cells").iterdir()))
    cancel(folder)
    return taken, cells


def time_of_peer(folder: Path, python: Path, cells: int) -> float:
    environment, log = noting_sbatch(folder)
    app = folder / "app.py"
    app.write_text(PEER_APP.format(conf=str(ROOT / "conf")))
    launcher = ["hydra/launcher=submitit_slurm", "+hydra.launcher.additional_parameters={hold:true}"]
    launcher += [f"hydra.sweep.dir={folder}", f"hydra.launcher.array_parallelism={cells}"]
    began = time.time()
    with open(folder / "output", "w") as output:
        running = subprocess.Popen(
            [python, app, "-m", f"seed=range(0,{cells})", *launcher], env=environment, stdout=output, stderr=output
        )
        while not log.exists():  # it submits one array, and then would wait for its end
            if running.poll() is not None:
                sys.exit((folder / "output").read_text())
            time.sleep(0.05)
        taken = float(log.read_text().split()[-1]) - began
        running.kill()
        running.wait()
    cancel(folder)
    return taken


def noting_sbatch(folder: Path) -> tuple[dict[str, str], Path]:
    """An environment whose sbatch writes the time at which it has submitted into a file."""
    wrapper, log = folder / "bin" / "sbatch", folder / "times"
    wrapper.parent.mkdir(parents=True)
    real = shutil.which("sbatch")
    note = f'case "$*" in --test-only*) exec {real} "$@";; esac\n{real} "$@"\ncode=$?\ndate +%s.%N >>{log}.new\n'
    wrapper.write_text(f"#!/bin/bash\n{note}cp {log}.new {log}.part; mv {log}.part {log}\nexit $code\n")
    wrapper.chmod(0o755)
    return {**os.environ, "PATH": f"{wrapper.parent}:{os.environ['PATH']}"}, log


def cancel(folder: Path) -> None:
    """Cancel the jobs that write into `folder`."""
    shown = subprocess.run(
        ["squeue", "--me", "-h", "-O", "JobID:20,STDOUT:300"], capture_output=True, text=True, check=True
    ).stdout
    if jobs := [line.split()[0] for line in shown.splitlines() if str(folder) in line]:
        subprocess.run(["scancel", *jobs], check=True)


def peer_environment() -> Path:
    """The Python of an environment that holds the peer."""
    home = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "rlvr-sweep" / "peer-dispatch"
    python = home / "bin" / "python"
    if not (home / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PEER, "hydra-core>=1.3.2,<1.4"], check=True)
        (home / "installed").touch()
    return python


if __name__ == "__main__":
    main()
