"""The share of a training step that keeping a row of every response takes.

    python benchmarks/responses.py

A mini is trained as `launch.py` trains it, in this process, and the two functions that keep rows are timed: the one
that makes the rows of a step, and the one that writes a part at each checkpoint. Both are given as shares of the steps'
time, and of their processor time, which other work on the machine changes less. The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from cpuinfo import get_cpu_info

from sweep.dispatch.launch import launch
from sweep.stages.recording import Recorder
from sweep.stages.train import Training

AIM = 0.02


def timed(function: Callable, spent: Counter) -> Callable:
    """Return `function`, which adds its seconds and its processor's to `spent`."""

    def called(*arguments):
        """Call the function and time it."""
        began, processor = time.perf_counter(), time.process_time()
        try:
            return function(*arguments)
        finally:
            spent.update(seconds=time.perf_counter() - began, processor=time.process_time() - processor, calls=1)

    return called


def measured(prompts: int, samples: int, steps: int, every: int) -> dict:
    """Train a mini, and return what its steps took and what keeping their responses took."""
    rows, parts, whole = Counter(), Counter(), Counter()
    Recorder.responses = timed(Recorder.responses, rows)
    Recorder.saving = timed(Recorder.saving, parts)
    Training.train_step = timed(Training.train_step, whole)
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()):
        code = launch(
            [
                f"output_dir={place}",
                "cluster=inline",
                "tracking.mode=disabled",
                "evaluation.problems=2",
                f"steps={steps}",
                f"checkpoint.every={every}",
                f"algorithm.prompts_per_step={prompts}",
                f"algorithm.samples_per_prompt={samples}",
            ]
        )
        held = sum(file.stat().st_size for file in Path(place).glob("cells/*/responses/*.parquet"))
    assert code == 0 and rows["calls"] == steps, rows
    shares = {name: (rows[name] + parts[name]) / whole[name] for name in ("seconds", "processor")}
    return {
        "responses": prompts * samples,
        "steps": steps,
        "checkpoint_every": every,
        "step_s": whole["seconds"] / steps,
        "rows_ms": 1000 * rows["seconds"] / steps,
        "part_ms": 1000 * parts["seconds"] / max(1, parts["calls"]),
        "bytes_a_response": held / (steps * prompts * samples),
        "share": shares["seconds"],
        "share_of_processor_time": shares["processor"],
        "reached": shares["processor"] < AIM,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--every", type=int, default=4, help="steps between checkpoints")
    given = parser.parse_args()
    found = measured(given.prompts, given.samples, given.steps, given.every)
    machine = {
        "processor": get_cpu_info()["brand_raw"],
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    print(json.dumps({"conditions": machine | {"load": os.getloadavg()}, **found}))


if __name__ == "__main__":
    sys.exit(main())
