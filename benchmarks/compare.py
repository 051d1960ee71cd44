"""Seconds and memory of `compare` for a sweep of 1,000 cells × 300 steps that the project's own writers left behind.

    python benchmarks/compare.py [--cells 1000] [--steps 300] [--keep DIR]

One cell is trained for two steps, so that the rows have what rows have; then every other file is written as finished
runs write it: frozen configurations, states, results, provenance, a row for each step. Each command runs as a user
types it, in a process of its own, and what it reads comes from the page cache, since it has just been written. Python's
own start, with nothing imported, is measured in the same run. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from helpers.written_sweeps import finish_all  # noqa: E402
from sweep.plan.plan import Plan, plan_sweep  # noqa: E402
from sweep.plan.task import Task  # noqa: E402
from sweep.run.directory import RunDirectory  # noqa: E402
from sweep.run.files import write_json  # noqa: E402
from sweep.run.ledger import read_sweep  # noqa: E402
from sweep.track.metrics import RowLog  # noqa: E402

SMALL = [
    "algorithm.prompts_per_step=4", "algorithm.samples_per_prompt=4", "algorithm.updates_per_rollout=2",
    "rollout.max_response_tokens=8", "evaluation.problems=8", "evaluation.samples_per_problem=1", "evaluation.every=1",
    "tracking.mode=disabled",
]  # fmt: skip
GRID = ["model=qwen2_mini,llama3_mini,olmo2_mini", "reward=ground_truth,random,format,constant"]
EVALUATED_EVERY = 10
NAME = "large"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--keep", type=Path, help="where to leave the sweep, or to find it again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        root = asked.keep or Path(folder) / "runs"
        if not (root / "sweeps" / NAME).exists():
            write(root, asked.cells, asked.steps)
        bare, _ = measured([sys.executable, "-c", "pass"])
        found = {"cells": len(read_sweep(root, NAME).cells), "steps": asked.steps, "python_s": bare}
        for what, options in (
            ("table", []),
            ("json", ["--json"]),
            ("metric", ["--metric", "reward/true_mean"]),
            ("curves", ["--metric", "reward/true_mean", "--curves"]),
            ("figures", ["--metric", "reward/true_mean", "--figures", f"{folder}/figures"]),
        ):
            seconds, memory = measured(
                [sys.executable, "-m", "sweep", "compare", NAME, "--output-dir", str(root), *options]
            )
            found |= {f"{what}_s": seconds, f"{what}_gib": memory}
            print(f"{what}: {seconds:.1f} s, {memory:.2f} GiB", flush=True)
    print(json.dumps(found))


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds of a command, and the GiB that its process held at most."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        sys.exit(f"{' '.join(command)} ended with status {status}")
    return seconds, usage.ru_maxrss / 2**20


def write(root: Path, cells: int, steps: int, *typed: str) -> tuple[Plan, RunDirectory]:
    """A sweep of finished cells, 12 of them for each seed; `typed`: overrides beside those of this benchmark.

    Also gives the small run that was trained for it.
    """
    began = time.perf_counter()
    found = trained(root)
    seeds = -(-cells // 12)
    large = [f"steps={steps}", f"name={NAME}", f"output_dir={root}"]
    plan = plan_sweep([*GRID, f"seed=range(0,{seeds})", *SMALL, *large, *typed])
    finish_all(plan)
    for place, task in enumerate(plan.tasks):
        give(task, found, steps, random.Random(place))
    print(f"{len(plan.cells)} cells × {steps} steps written in {time.perf_counter() - began:.0f} s", flush=True)
    return plan, found


def trained(root: Path) -> RunDirectory:
    """A real run of two steps."""
    typed = [*SMALL, "steps=2", "name=small", f"output_dir={root}"]
    subprocess.run([sys.executable, "launch.py", *typed], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return RunDirectory(plan_sweep(typed).cells[0].directory)


def give(task: Task, found: RunDirectory, steps: int, draws: random.Random) -> None:
    """Result, provenance and a row for each step: those of the run `found`, with its numbers moved a little."""
    run = RunDirectory(task.directory)
    of_run = {"step": task.config.steps, "evaluation": run.evaluation_signature}
    write_json(run.result, {k: moved(v, draws) for k, v in found.read_result().items()} | of_run)
    run.add_provenance(**found.read_provenance())
    if not task.steps:
        return
    row = found.read_metrics()[-1]
    log = RowLog(run.metrics, 0)
    for step in range(1, steps + 1):
        evaluated = step % EVALUATED_EVERY == 0 or step == steps
        numbers = {k: moved(v, draws) for k, v in row.items() if evaluated or not k.startswith("eval")}
        log.write(numbers | {"step": step} | ({"evaluation": run.evaluation_signature} if evaluated else {}))
    log.close()


def moved(value: object, draws: random.Random) -> object:
    return value * draws.uniform(0.9, 1.1) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
