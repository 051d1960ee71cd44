"""Where a step's seconds go: the floor, products slower than the floor's, attention, copies, all else, the optimiser.

    .venv/bin/python benchmarks/phases.py --dtype float32

One step of benchmarks/grpo_step.py's workload under torch's profiler, after one that warms up; ours alone, CPU only.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.grpo_step import floor_seconds, peak_gflops
from benchmarks.step_ours import Stepper, cell
from benchmarks.workload import SHAPES, Workload, geometric_lengths, make_model

KINDS = {
    "products": ("aten::mm", "aten::addmm", "aten::bmm"),
    "attention": ("aten::_scaled_dot_product",),
    "copies": (
        "aten::copy_",
        "aten::cat",
        "aten::index",
        "aten::_index_put",
        "aten::clone",
        "aten::fill_",
        "aten::zero_",
    ),
}
OPTIMIZER = "optimizer step"


def account(step, phase: str) -> dict[str, float]:
    """Seconds of each kind of work in one call of `step`; "waiting" is what no operator of torch took."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        began = time.perf_counter()
        step()
        wall = time.perf_counter() - began
    found = dict.fromkeys([*KINDS, OPTIMIZER, "other operators"], 0.0)
    optimizer = [e for e in profiler.events() if e.name == OPTIMIZER]
    for event in profiler.events():
        if event.name == OPTIMIZER:
            continue
        found[_kind(event, optimizer)] += event.self_cpu_time_total / 1e6
    return {"phase": phase, "seconds": wall, **found, "between operators": wall - sum(found.values())}


def _kind(event, optimizer: list) -> str:
    start = event.time_range.start
    if any(o.time_range.start <= start < o.time_range.end for o in optimizer):
        return OPTIMIZER
    return next((kind for kind, names in KINDS.items() if event.name.startswith(names)), "other operators")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=list(SHAPES), default="qwen2_25m")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="float32")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--lengths", action="store_true", help="geometric ones instead, of twice as many at most")
    parser.add_argument("--micro-batch-tokens", type=int, default=1024)
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp())
    make_model(given.shape, place / "model")
    most = given.tokens * (2 if given.lengths else 1)
    lengths = geometric_lengths(64, 50, most) if given.lengths else None
    workload = Workload(
        str(place / "model"), given.dtype, 8, 8, most, lengths, micro_batch_tokens=given.micro_batch_tokens
    )
    stepper = Stepper(workload, cell(workload), place / "meeting")
    engine = stepper.learner.engine
    plain = engine.step

    def marked():
        with record_function(OPTIMIZER):
            plain()

    engine.step = marked
    stepper.rollout(1), stepper.update(1)
    gflops = peak_gflops(given.dtype)
    floors = floor_seconds(workload, given.shape, gflops)
    rows = [account(lambda: stepper.rollout(2), "rollout"), account(lambda: stepper.update(2), "update")]
    for row, floor in zip(rows, floors, strict=True):
        row["floor"] = floor
        print("  ".join(f"{k} {v:.2f}" if k != "phase" else f"{v:8}" for k, v in row.items()))
    print(json.dumps({**vars(given), "gflops": gflops, "phases": rows}))


if __name__ == "__main__":
    sys.exit(main())
