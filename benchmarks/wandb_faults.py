"""How many seconds does training lose by W&B, sound or failing in every way that we could think of?

One mini is trained again and again, in a process that runs the training stage as a cluster's node does, against a W&B
server of the tests on this machine; the client is the real one. Beside each such training the same is trained without
W&B at the same time, so that what else the machine does strikes both. Seconds lost are those from the end of the
imports to the end of the process, less those of the other. After each fault the server is mended, and `python -m sweep
sync` must bring what is missing: "mended" says whether its history then equals metrics.jsonl. The last line is JSON.

    python benchmarks/wandb_faults.py
    python benchmarks/wandb_faults.py --only healthy absent --repeats 1
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from helpers.constants import TINY  # noqa: E402  found by the line above
from helpers.wandb_server import GONE, Fault, WandbServer, wandb_server  # noqa: E402
from sweep.__main__ import main as command  # noqa: E402
from sweep.plan.plan import plan_sweep  # noqa: E402
from sweep.run.directory import RunDirectory  # noqa: E402
from sweep.run.ledger import record  # noqa: E402

STEPS = 40
CELL = [*TINY, "reward=random", f"steps={STEPS}", "evaluation.every=20", "checkpoint.every=20", "name=faults"]
STAGE = """
import pathlib, sys, time
from sweep.dispatch.imports import import_stage
run = pathlib.Path(sys.argv[1])
stage = import_stage("sweep.stages.train")
print("imported", time.monotonic(), flush=True)
stage.main(run, 0, 1, 0, run / "attempts" / "meeting.json")
"""
SAID = "training goes on without it"


@dataclass(frozen=True)
class Trial:
    """What fails: `at_first` before training, `at_step` once metrics.jsonl has that row, both given the server."""

    at_first: Callable[[WandbServer], object] = lambda server: None
    step: int = 0
    at_step: Callable[[WandbServer, psutil.Process], object] = lambda server, process: None


def fault(**how) -> Callable[..., None]:
    return lambda server, *_: server.faults.append(Fault(**how))


def service(process: psutil.Process) -> psutil.Process:
    return next(child for child in process.children(recursive=True) if child.name() == "wandb-core")


TRIALS = {
    "healthy": Trial(),
    "absent": Trial(fault(status=GONE)),
    "30 s an answer": Trial(fault(seconds=30)),
    "401": Trial(fault(status=401)),
    "403": Trial(fault(status=403)),
    "429": Trial(fault(status=429)),
    "500": Trial(fault(status=500)),
    "gone in the middle": Trial(step=STEPS // 2, at_step=fault(status=GONE)),
    "403 to rows": Trial(fault(status=403, path="file_stream")),
    "429 to rows": Trial(fault(status=429, path="file_stream")),
    "500 to rows": Trial(fault(status=500, path="file_stream")),
    "gone at the end": Trial(step=STEPS, at_step=fault(status=GONE)),
    "its process killed": Trial(step=STEPS // 2, at_step=lambda _, process: service(process).kill()),
    "its process stopped": Trial(step=STEPS // 2, at_step=lambda _, process: service(process).suspend()),
}


def prepared(home: Path, cache: Path, mode: str, url: str) -> RunDirectory:
    """A run directory of a sweep of one cell, as a launch leaves it before the training."""
    tracking = [f"tracking.mode={mode}", f"tracking.base_url={url}", "tracking.project=p"]
    plan = plan_sweep([*CELL, *tracking, f"output_dir={home}", f"cache_dir={cache}"])
    (cell,) = plan.cells
    record(plan.name, plan.root, [task.entry for task in plan.stages], [cell.entry], [])
    run = RunDirectory(cell.directory)
    run.freeze(cell.config, cell.signature, cell.identity, cell.evaluations)
    return run


class Started:
    """A process that trains a run."""

    def __init__(self, run: RunDirectory) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "WANDB_API_KEY": "0" * 40, "OMP_NUM_THREADS": "1"}
        self.run, command = run, [sys.executable, "-c", STAGE, str(run.path)]
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=run.path
        )
        self.seconds = 0.0  # from the end of the imports to the end of the process
        self._waiting = threading.Thread(target=self._wait)
        self._waiting.start()

    def _wait(self) -> None:
        said, _ = self.process.communicate()
        imported = next(line.split()[1] for line in said.splitlines() if line.startswith("imported"))
        self.seconds = time.monotonic() - float(imported)

    def strike(self, trial: Trial, server: WandbServer) -> None:
        """Do what is to be done once metrics.jsonl has the row."""
        while trial.step and len(self.run.read_metrics()) < trial.step:
            time.sleep(0.02)
            if self.process.poll() is not None:
                return
        trial.at_step(server, psutil.Process(self.process.pid))

    def end(self) -> None:
        self._waiting.join()
        if self.process.returncode or (self.run.read_result() or {}).get("step") != STEPS:
            sys.exit(f"the training failed; see {self.run.log}")


def mended(run: RunDirectory, server: WandbServer) -> bool:
    """Whether the server has every row as it was written, once it is well again and `sync` was given."""
    server.faults = []
    os.environ["WANDB_API_KEY"] = "0" * 40
    with contextlib.redirect_stdout(io.StringIO()):
        code = command(["sync", "faults", "--output-dir", str(run.root)])
    there = [{key: v for key, v in row.items() if key != "samples"} for row in server.rows(run.signature)]
    return code == 0 and there == [{k: v for k, v in row.items() if v is not None} for row in run.read_metrics()]


def measure(trial: Trial, home: Path, cache: Path) -> dict:
    """One training under the trial, beside one without W&B."""
    with wandb_server() as server:
        tracked, other = (prepared(home / mode, cache, mode, server.url) for mode in ("online", "disabled"))
        trial.at_first(server)
        with_wandb, without = Started(tracked), Started(other)
        with_wandb.strike(trial, server)
        with_wandb.end()
        without.end()
        said = tracked.log.read_text().count(SAID)
        return {
            "lost_s": round(with_wandb.seconds - without.seconds, 2),
            "without_s": round(without.seconds, 2),
            "said": said,
            "mended": mended(tracked, server),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=TRIALS, default=list(TRIALS))
    parser.add_argument("--repeats", type=int, default=1, help="of each trial")
    asked = parser.parse_args()
    found: dict[str, list[dict]] = {}
    print("| W&B | seconds lost | of a training of | warnings in the log | mended by sync |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        Started(prepared(home / "first", home / "cache", "disabled", "http://127.0.0.1:9")).end()  # makes the mini
        for name in asked.only:
            repeats = [measure(TRIALS[name], home / f"{name}-{k}", home / "cache") for k in range(asked.repeats)]
            found[name] = repeats
            cells = (", ".join(str(one[key]) for one in repeats) for key in ("lost_s", "without_s", "said", "mended"))
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print(json.dumps({"load": os.getloadavg()[0], "faults": found}))


if __name__ == "__main__":
    main()
