"""Seconds of a training step as `plan` predicts them, beside what steps on this machine took.

    python benchmarks/hours.py                                  # the three minis
    python benchmarks/hours.py --shape smollm2 --model PATH.gguf
    python benchmarks/hours.py --shape qwen2_mini --out benchmarks/results/hours.json

For each shape: `plan` before anything was measured; a run of seed 0; `plan` for seed 1, which now knows that run; a run
of seed 1. Reported are the predictions and the median of the steps after the first one. Runs have one process with one
thread. With `--clock processor` their phases are timed by the processor time of that process, which is what a clock
shows where nothing else runs: for machines that others work on. The load is reported. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SMALL = [
    "model=smollm2_135m", "resources.gpus=0", "resources.gpu_memory_gb=null", "data=mini_arithmetic",
    "algorithm.updates_per_rollout=1", "rollout.max_prompt_tokens=128", "rollout.max_response_tokens=32",
    "evaluation.problems=2", "evaluation.samples_per_problem=1", "evaluation.every=100",
]  # fmt: skip
SHAPES = {
    "qwen2_mini": ["model=qwen2_mini"],
    "llama3_mini": ["model=llama3_mini"],
    "olmo2_mini": ["model=olmo2_mini"],
    "few_updates": ["model=qwen2_mini", "algorithm.updates_per_rollout=1", "algorithm.prompts_per_step=64"],
    "smollm2": [*SMALL, "algorithm.prompts_per_step=2", "algorithm.samples_per_prompt=2"],
}
STEPS = {"smollm2": 3}  # of each run; else MOST_STEPS
MOST_STEPS = 10


# A launch whose phases are timed by the processor time of the process; the run is in this same process.
BY_PROCESSOR = """
import runpy, sys, time
time.perf_counter = time.process_time
sys.argv = ["launch.py", *sys.argv[1:]]
runpy.run_path("launch.py", run_name="__main__")
"""
CLOCKS = {"wall": ["launch.py"], "processor": ["-c", BY_PROCESSOR]}


def command(*arguments: str) -> str:
    """Run a command of the project with one thread and no tracking; return what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


def planned(overrides: list[str]) -> dict:
    """Return the time that `plan` gives for the one cell."""
    (cell,) = json.loads(command("-m", "sweep", "plan", "--json", *overrides))["cells"]
    return cell["time"] | {"directory": cell["directory"]}


def taken(directory: str) -> dict[str, float]:
    """Return the medians of a run's steps after the first one, and the fastest of these."""
    rows = [json.loads(line) for line in (Path(directory) / "metrics.jsonl").read_text().splitlines()][1:]
    names = ("step", "rollout", "update")
    found = {name: statistics.median(row[f"timing_s/{name}"] for row in rows) for name in names}
    return found | {"fastest_step": min(row["timing_s/step"] for row in rows)}


def measure(name: str, overrides: list[str], output: str, clock: str) -> dict:
    """Return the predictions and the measurements of a shape."""
    steps = STEPS.get(name, MOST_STEPS)
    one = [*overrides, f"steps={steps}", f"output_dir={output}", "cluster=inline"]
    before, load = planned([*one, "seed=0"]), os.getloadavg()[0]
    command(*CLOCKS[clock], *one, "seed=0")
    first = taken(before["directory"])
    after = planned([*one, "seed=1"])
    command(*CLOCKS[clock], *one, "seed=1")
    second = taken(after["directory"])
    known = after["measured"]["step_seconds"]
    return {
        "steps": steps,
        "clock": clock,
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "predicted": before["predicted"],
        "first": first,
        "predicted_over_first": before["predicted"]["step_seconds"] / first["step"],
        "known": known,
        "second": second,
        "known_over_second": known / second["step"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=list(SHAPES), action="append", help="more than once; default: the minis")
    parser.add_argument("--model", type=Path, help="file with the weights of smollm2")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--out", type=Path, help="a file whose shapes are replaced by those that were measured")
    given = parser.parse_args()
    results = json.loads(given.out.read_text()) if given.out and given.out.exists() else {}
    with tempfile.TemporaryDirectory() as output:
        for name in given.shape or ["qwen2_mini", "llama3_mini", "olmo2_mini"]:
            weights = [f"model.path={given.model.resolve()}"] if given.model and name == "smollm2" else []
            results[name] = measure(name, [*SHAPES[name], *weights], output, given.clock)
            if given.out:
                given.out.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
