"""A side of benchmarks/gpu.py: this project's own sampler and learner, with seconds and memory phase by phase.

Usage: python benchmarks/gpu_step.py WORKLOAD [OVERRIDE …]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.step_ours import Stepper
from benchmarks.workload import Workload, serve
from sweep.plan.compose import compose_cells

PHASES = ("rollout", "passes", "optimizer")


class Phases:
    """Seconds and peak GPU memory of phases that follow one another, with the GPU's work done between two of them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peaks: dict[str, float] = {}
        self._name, self._began = "start", time.perf_counter()

    def begin(self, name: str) -> None:
        """End the current phase and begin `name`; a phase that begins again goes on."""
        on_gpu = torch.cuda.is_available()
        if on_gpu:
            torch.cuda.synchronize()
        self.seconds[self._name] = self.seconds.get(self._name, 0.0) + time.perf_counter() - self._began
        if on_gpu:
            peak = torch.cuda.max_memory_allocated() / 2**30
            self.peaks[self._name] = max(peak, self.peaks.get(self._name, 0.0))
            torch.cuda.reset_peak_memory_stats()
        self._name, self._began = name, time.perf_counter()


def main(file: str, overrides: list[str]) -> None:
    workload = Workload.read(file)
    (cell,) = compose_cells(overrides)
    phases = Phases()
    stepper = Stepper(workload, cell.config, Path(tempfile.mkdtemp()) / "meeting")
    engine = stepper.learner.engine
    plain_step = engine.step

    def timed_step() -> None:
        phases.begin("optimizer")
        plain_step()
        phases.begin("passes")

    engine.step = timed_step

    def step(number: int) -> dict:
        phases.begin("rollout")
        phases.seconds.clear()
        stepper.rollout(number)
        phases.begin("passes")
        stepper.update(number)
        phases.begin("between steps")
        row = {name: phases.seconds[name] for name in PHASES}
        row["update"] = row["passes"] + row["optimizer"]
        if phases.peaks:
            row["peak_gpu_gb"] = max(phases.peaks.values())
            row |= {f"peak_gpu_gb_{name}": phases.peaks[name] for name in PHASES}
        return row

    serve(step)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
