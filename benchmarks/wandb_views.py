"""Seconds of `compare --wandb` and `--wandb-report` for a sweep of 1,000 cells, against the server of the tests.

    python benchmarks/wandb_views.py [--cells 1000]

The sweep is written as finished runs leave it behind, and the server has a run of each cell with the cell's whole
configuration, as the mirror sends it. Each command runs as a user types it, in a process of its own. Server and command
share this machine, so that what a network adds is not in the numbers. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.compare import GRID, SMALL, measured  # noqa: E402
from helpers.wandb_server import Run  # noqa: E402
from helpers.wandb_views import ViewServer, view_server  # noqa: E402
from helpers.written_sweeps import finish_all  # noqa: E402
from sweep.plan.plan import Plan, plan_sweep  # noqa: E402
from sweep.run.directory import RunDirectory  # noqa: E402
from sweep.run.state import State  # noqa: E402
from sweep.track.axes import read_listed  # noqa: E402
from sweep.track.described import described  # noqa: E402

NAME = "large"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=1000)
    asked = parser.parse_args()
    os.environ.update(WANDB_API_KEY="0123456789" * 4, WANDB_ERROR_REPORTING="false")
    with tempfile.TemporaryDirectory(prefix="views-") as folder, view_server() as server:
        plan = write(Path(folder) / "runs", asked.cells, server)
        found = {"cells": len(plan.cells)}
        command = [sys.executable, "-m", "sweep", "compare", NAME, "--output-dir", str(plan.root)]
        for what, options in (
            ("table", []),
            ("view", ["--wandb"]),
            ("view_again", ["--wandb"]),
            ("report", ["--wandb-report"]),
        ):
            server.operations.clear()
            seconds, memory = measured([*command, *options])
            requests = len(server.operations)
            found |= {f"{what}_s": seconds, f"{what}_gib": memory, f"{what}_requests": requests}
            print(f"{what}: {seconds:.1f} s, {memory:.2f} GiB, {requests} requests", flush=True)
        found["view_kib"] = len(json.dumps(server.saved_views[0]["spec"])) / 2**10
    print(json.dumps(found))


def write(root: Path, cells: int, server: ViewServer) -> Plan:
    """The sweep, and a run on the server for each of its cells; 12 cells for each seed."""
    tracking = ["tracking.mode=offline", f"tracking.base_url={server.url}", "tracking.project=p"]
    seeds = f"seed=range(0,{-(-cells // 12)})"
    plan = plan_sweep([*GRID, seeds, *SMALL, *tracking, "steps=10", f"name={NAME}", f"output_dir={root}"])
    finish_all(plan)
    listed = read_listed(root)
    for task in plan.cells:
        run = RunDirectory(task.directory)
        said = described(run, task.config, listed[str(task.directory.relative_to(root))], State.DONE)
        config = json.dumps({key: {"value": value} for key, value in said.config.items()})
        fields = {"entity": "e", "project": "p", "jobType": said.job_type, "tags": [*said.tags], "config": config}
        server.runs[task.signature] = Run(fields, summary=dict(said.summary))
    return plan


if __name__ == "__main__":
    main()
