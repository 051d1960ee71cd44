"""Which of twelve tiny trainings come out differently under two versions of the code, to the bit.

    python tests/same.py COMMIT             # that commit beside the working tree
    python tests/same.py COMMIT COMMIT      # two commits
    python tests/same.py --cells dapo,lora COMMIT

Both versions train the same cells on this machine with this Python. Final weights, `result.json`, `samples.jsonl` and
the rows of `metrics.jsonl` are hashed column by column, so that a column that was added is told from one that changed;
columns of seconds, throughput and memory are left out, as they differ from run to run. Exits with 1 where a cell
changed. A run of both versions takes some five minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from helpers.constants import ROOT, TINY
from helpers.digests import Digest, differences, digest

# By name, what is typed beside TINY. A barely trained mini is never right: a random reward gives it something to learn.
CELLS: dict[str, tuple[str, ...]] = {
    "grpo": ("reward=ground_truth", "algorithm=grpo"),
    "paper": ("reward=random", "algorithm=paper", "model=llama3_mini"),
    "dapo_resampling": ("reward=random", "algorithm=dapo", "reward.probability=0.1", "model=olmo2_mini"),
    "dr_grpo": ("reward=format", "algorithm=dr_grpo"),
    "gspo": ("reward=random", "algorithm=gspo"),
    "rloo": ("reward=python", "algorithm=rloo"),
    "lora": ("reward=random", "tuning=lora"),
    "zero3_two_processes": ("reward=random", "deepspeed=zero3", "deepspeed.processes=2"),
    "kl_in_loss": ("reward=random", "algorithm.kl_coefficient=0.1", "algorithm.kl_place=loss"),
    "kl_in_reward": ("reward=random", "algorithm.kl_coefficient=0.1", "algorithm.kl_place=reward"),
    "majority_labels": ("reward=majority_vote", "labels.samples=4"),
    "one_shot_interrupted": ("reward=random", "data.only={question: 3+4-5, answer: 2}", "steps=40"),
}
INTERRUPTED = ("one_shot_interrupted",)


def train_all(code: Path, home: Path, names: Iterable[str]) -> dict[str, Digest]:
    """Train the cells with the code at `code`, two side by side; each in an output directory of its own in `home`."""
    home.mkdir()

    def trained(name: str) -> tuple[str, Digest]:
        print(f"{home.name}: {name}", file=sys.stderr, flush=True)
        return name, _train(code, home, name)

    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(trained, names))


def _train(code: Path, home: Path, name: str) -> Digest:
    output = home / name
    place = (f"name={name}", f"output_dir={output}", f"cache_dir={home / 'cache'}")
    command = [sys.executable, "launch.py", *TINY, *CELLS[name], *place]
    if name in INTERRUPTED:
        _interrupt(command, code, output)
    done = _run(command, code)
    if done.returncode:
        raise RuntimeError(f"{name} of {code} ended with {done.returncode}:\n{done.stdout[-3000:]}")
    (run,) = (output / "cells").iterdir()
    return digest(run)


def _interrupt(command: list[str], code: Path, output: Path) -> None:
    """Launch, and stop the launch as Ctrl-C does once the run has made a step."""
    with tempfile.TemporaryFile() as log:
        launch = subprocess.Popen(command, cwd=code, env=environment(), stdout=log, stderr=log)
        wait_until(
            lambda: any(f.stat().st_size for f in output.glob("cells/*/metrics.jsonl")) or launch.poll() is not None
        )
        launch.send_signal(signal.SIGINT)
        launch.wait(timeout=300)
    (state,) = output.glob("cells/*/state.json")
    if json.loads(state.read_text())["state"] != "interrupted":
        raise RuntimeError(f"{output.name} was to be interrupted; it is {state.read_text()}")


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing happened in {seconds:.0f} s")
        time.sleep(0.05)


def _run(command: list[str], code: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, cwd=code, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def environment() -> dict[str, str]:
    """One thread a process: sums then add up in one order, and two launches share two cores."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "RLVR_SWEEP_LOCAL": "null"}


def checkout(commit: str, target: Path) -> Path:
    """The files of `commit`, without touching the repository's own work tree."""
    target.mkdir()
    archive = subprocess.run(["git", "-C", ROOT, "archive", commit], capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", target], input=archive, check=True)
    return target


def main(arguments: list[str]) -> int:
    """Returns the exit code: 1 where a cell changed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", metavar="COMMIT")
    parser.add_argument("after", metavar="COMMIT", nargs="?", help="by default the working tree")
    parser.add_argument("--cells", default=",".join(CELLS), help="only these, by name")
    asked = parser.parse_args(arguments)
    names = asked.cells.split(",")
    if unknown := set(names) - set(CELLS):
        parser.error(f"no such cell: {', '.join(sorted(unknown))}; there are {', '.join(CELLS)}")
    with tempfile.TemporaryDirectory(prefix="same-") as home:
        before_code = checkout(asked.before, Path(home) / "code-before")
        after_code = checkout(asked.after, Path(home) / "code-after") if asked.after else ROOT
        before, after = (
            train_all(code, Path(home) / label, names)
            for label, code in (("before", before_code), ("after", after_code))
        )
    changed = 0
    for name in names:
        found = differences(before[name], after[name])
        changed += bool(found)
        same_weights = "" if any(line.startswith("weights") for line in found) else " (the weights are the same)"
        print(f"{name}: {'; '.join(found) + same_weights if found else 'same'}")
    print(f"{changed} of {len(names)} cells changed")
    return int(changed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
