"""Keep a small finished sweep of this version of the code for the tests of later versions.

    python tests/keep_sweep.py tests/sweeps/NAME

Run it when a version changes what stands in an output directory. A kept sweep is never made again:
`tests/test_old_sweeps.py` reads each of them for ever. What tells of the machine, and what nobody reads once a run is
done, is left out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A mini small enough to be kept, and trained enough to be right now and then.
TYPED = [
    "name=kept",
    "model.mini.hidden_size=16",
    "model.mini.layers=1",
    "model.mini.corpus_size=4000",
    "model.mini.steps=400",
    "reward=ground_truth,random",
    "seed=0,1",
    "steps=2",
    "algorithm.prompts_per_step=8",
    "evaluation.problems=100",
    "evaluation.every=1",
    "tracking.mode=disabled",
    "tracking.sample_groups=1",
]
LEFT_OUT = ("attempts", "log.txt", "lock", "heartbeat", "checkpoints")


def keep(target: Path) -> None:
    """Run the sweep, then write what is kept of its output directory to `target`."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, str(ROOT / "launch.py"), "-m", *TYPED, "output_dir=runs", "cache_dir=cache"]
        subprocess.run(command, cwd=place, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        runs = Path(place) / "runs"
        for kind in ("sweeps", "stages", "cells"):
            shutil.copytree(runs / kind, target / kind, ignore=shutil.ignore_patterns(*LEFT_OUT))
        (target / "command.json").write_text(json.dumps(TYPED, indent=1) + "\n")
        for file in target.rglob("*.json"):
            file.write_text(file.read_text().replace(place, ""))
        for file in target.rglob("state.json"):
            _without(file, "pid", "host")
        for file in target.rglob("provenance.json"):
            _without(file, "host", "platform", "processor", "gpus")


def _without(file: Path, *keys: str) -> None:
    values = json.loads(file.read_text())
    file.write_text(json.dumps({k: v for k, v in values.items() if k not in keys}, indent=1) + "\n")


if __name__ == "__main__":
    keep(Path(sys.argv[1]).absolute())
