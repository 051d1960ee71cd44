"""How a step grows: seconds with tokens a step, memory with the number of micro-batches; on one process and on two.

    .venv/bin/python benchmarks/growth.py

Sizes alternate within every repeat, so that a slow minute falls on all of them. Slopes are least squares over all
repeats, with 95 % intervals. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scipy import stats

from benchmarks.workload import SHAPES, Side, Workload, make_model


class Processes(Side):
    """Rank 0 is asked and answers; the other ranks follow its steps."""

    def __init__(self, workload: Path, world_size: int, log: Path) -> None:
        self._others = [self._start(workload, rank, world_size, log) for rank in range(1, world_size)]
        super().__init__(sys.executable, "step_ours.py", workload, log, 0, world_size)

    @staticmethod
    def _start(workload: Path, rank: int, world_size: int, log: Path) -> Side:
        return Side(sys.executable, "step_ours.py", workload, log.with_suffix(f".{rank}"), rank, world_size)

    def step(self) -> dict:
        for other in self._others:
            other.ask()
        row = super().step()
        for other in self._others:
            other.answer()
        return row

    def close(self) -> None:
        super().close()
        for other in self._others:
            other.close()


def slope(points: list[tuple[float, float]]) -> dict:
    """Of y over x by least squares, with its 95 % interval."""
    fit = stats.linregress([x for x, _ in points], [y for _, y in points])
    half = stats.t.ppf(0.975, len(points) - 2) * fit.stderr
    return {"slope": fit.slope, "interval": [fit.slope - half, fit.slope + half], "r2": fit.rvalue**2}


def measure(workloads: dict[int, Workload], world_size: int, repeats: int, place: Path) -> list[tuple[int, dict]]:
    """(x, row) of every repeat of every workload, by its x."""
    sides = {}
    for x, workload in workloads.items():
        file = workload.write(place / f"{world_size}-{x}.json")
        sides[x] = Processes(file, world_size, place / f"{world_size}-{x}.log")
    rows = []
    for repeat in range(repeats + 1):
        for x, side in sides.items():
            row = side.step()
            if repeat:  # the first of each warms it up
                rows.append((x, row))
                print(
                    f"{world_size} processes, {x} prompts: {row['seconds']:.2f} s, {row['peak_rss_gb']:.2f} GB",
                    flush=True,
                )
    for side in sides.values():
        side.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=list(SHAPES), default="qwen2_25m")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="float32")
    parser.add_argument("--tokens", type=int, default=32, help="of a response")
    parser.add_argument("--prompts", type=int, nargs="+", default=[8, 16, 32], help="of each size of step")
    parser.add_argument("--repeats", type=int, default=4)
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp())
    make_model(given.shape, place / "model")
    base = Workload(
        str(place / "model"),
        given.dtype,
        prompts=2,
        samples=8,
        max_tokens=given.tokens,
        micro_batch_tokens=8 * (given.tokens + 20),  # what eight sequences have at most
    )
    result = {"shape": given.shape, "dtype": given.dtype}
    for world_size in (1, 2):
        # A prompt's eight samples are a micro-batch: both axes grow together, and one set of steps shows both.
        workloads = {prompts: replace(base, prompts=prompts) for prompts in given.prompts}
        rows = measure(workloads, world_size, given.repeats, place)
        seconds = slope([(workloads[x].tokens, row["seconds"]) for x, row in rows])
        memory = slope([(x / world_size, row["peak_rss_gb"]) for x, row in rows])
        print(f"{world_size} processes: {1e3 * seconds['slope']:.3f} ms a token, {seconds}")
        print(f"{world_size} processes: {1e3 * memory['slope']:.1f} MB a micro-batch, {memory}")
        result |= {f"seconds_per_token_{world_size}": seconds, f"gb_per_micro_batch_{world_size}": memory}
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
