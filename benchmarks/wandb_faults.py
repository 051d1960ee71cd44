"""How many seconds does training lose by W&B, sound or failing in every way that we could think of?

One mini is trained again and again, in a process that runs the training stage as a cluster's node does, against a W&B
server of the tests on this machine; the client is the real one. Seconds are those from the end of the imports to the
end of the process, less those of the same training without W&B, the median of several. After each fault the server is
mended, and `python -m sweep sync` must bring what is missing: "mended" says whether its history then equals
metrics.jsonl. The last line is JSON.

    python benchmarks/wandb_faults.py
    python benchmarks/wandb_faults.py --only healthy absent --repeats 1
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
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

from conftest import TINY  # noqa: E402  found by the line above
from wandb_server import GONE, Fault, WandbServer, wandb_server  # noqa: E402
from written_sweeps import entry_of  # noqa: E402

from sweep.__main__ import main as command  # noqa: E402
from sweep.plan.plan import plan_sweep  # noqa: E402
from sweep.run.directory import RunDirectory  # noqa: E402
from sweep.run.ledger import record  # noqa: E402

STEPS = 40
CELL = [*TINY, "reward=random", f"steps={STEPS}", "evaluation.every=20", "checkpoint.every=20", "name=faults"]
STAGE = """
import pathlib, sys, time
from sweep.run.imports import import_stage
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
    record(plan.name, plan.root, [entry_of(task, plan.root) for task in plan.stages], [entry_of(cell, plan.root)], [])
    run = RunDirectory(cell.directory)
    run.freeze(cell.config, cell.signature, cell.identity, cell.evaluation)
    return run


def trained(run: RunDirectory, trial: Trial, server: WandbServer) -> float:
    """Train; returns the seconds from the end of the imports to the end of the process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WANDB_API_KEY": "0" * 40, "OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(
        [sys.executable, "-c", STAGE, str(run.path)], env=environment, stdout=subprocess.PIPE, text=True, cwd=run.path
    )
    ended = threading.Event()

    def strike() -> None:
        while trial.step and len(run.read_metrics()) < trial.step:
            if ended.wait(0.02):
                return
        trial.at_step(server, psutil.Process(started.pid))

    striking = threading.Thread(target=strike)
    striking.start()
    said, _ = started.communicate()
    seconds = time.monotonic() - float(next(line.split()[1] for line in said.splitlines() if line[:8] == "imported"))
    ended.set()
    striking.join()
    if started.returncode or (run.read_result() or {}).get("step") != STEPS:
        sys.exit(f"the training failed; see {run.log}")
    return seconds


def mended(run: RunDirectory, server: WandbServer) -> bool:
    """Whether the server has every row as it was written, once it is well again and `sync` was given."""
    server.faults = []
    os.environ["WANDB_API_KEY"] = "0" * 40
    with contextlib.redirect_stdout(io.StringIO()):
        code = command(["sync", "faults", "--output-dir", str(run.root)])
    there = [{key: v for key, v in row.items() if key != "samples"} for row in server.rows(run.signature)]
    return code == 0 and there == [{k: v for k, v in row.items() if v is not None} for row in run.read_metrics()]


def measure(name: str, home: Path, cache: Path) -> dict:
    """One training under the trial `name`; "" is the training without W&B."""
    with wandb_server() as server:
        run = prepared(home, cache, "online" if name else "disabled", server.url)
        trial = TRIALS.get(name, Trial())
        trial.at_first(server)
        found = {"seconds": trained(run, trial, server)}
        if name:
            found |= {"said": run.log.read_text().count(SAID), "mended": mended(run, server)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=TRIALS, default=list(TRIALS))
    parser.add_argument("--repeats", type=int, default=1, help="of each trial; the training without W&B as often again")
    asked = parser.parse_args()
    found: dict[str, list[dict]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home, names = Path(folder), ["", *asked.only, ""]
        measure("", home / "first", home / "cache")  # which also makes the mini
        for repeat in range(asked.repeats):
            for place, name in enumerate(names):
                found.setdefault(name, []).append(measure(name, home / f"{repeat}-{place}", home / "cache"))
    without = statistics.median(one["seconds"] for one in found.pop(""))
    rows = {
        name: {
            "lost_s": [round(one["seconds"] - without, 2) for one in repeats],
            "said": [one["said"] for one in repeats],
            "mended": all(one["mended"] for one in repeats),
        }
        for name, repeats in found.items()
    }
    print(f"training without W&B: {without:.1f} s\n\n| W&B | seconds lost | warnings in the log | mended by sync |")
    print("|---|---|---|---|")
    for name, row in rows.items():
        lost, said = (", ".join(map(str, row[key])) for key in ("lost_s", "said"))
        print(f"| {name} | {lost} | {said} | {'yes' if row['mended'] else 'NO'} |")
    print(json.dumps({"without_s": without, "load": os.getloadavg(), "faults": rows}))


if __name__ == "__main__":
    main()
