"""How fast does `sync` bring a sweep of 1,000 runs × 300 rows to W&B, and does its memory grow with their number?

    python benchmarks/wandb_sync.py [--runs 1000] [--steps 300] [--keep DIR]

The sweep is written as offline trainings leave it behind, with a table's worth of sampled answers at each evaluation.
The server of the tests runs in a process of its own and keeps the rows of ended runs on disk, so that its memory is in
no number; it shares the machine, and no network is between. Each command runs as a user types it. A second `sync` finds
all up to date, and `--check` reads the histories of one model back. Memory is that of the process and of those that it
starts (W&B's own among them), looked at four times a second. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.compare import EVALUATED_EVERY, NAME, write  # noqa: E402
from helpers.wandb_server import WandbServer  # noqa: E402
from sweep.run.directory import RunDirectory  # noqa: E402
from sweep.track.metrics import RowLog  # noqa: E402

LOOK_SECONDS = 0.25
CHECKED = ("reward=random", "model=qwen2_mini")  # a twelfth of the runs


class OnDisk(Sequence):
    """The rows of a run that has ended, in a file."""

    def __init__(self, path: Path, rows: Sequence[dict]) -> None:
        self._path, self._count, self._last = path, len(rows), rows[-1]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place):
        return [self._last][place]  # the server asks for the last one alone

    def __iter__(self) -> Iterator[dict]:
        with open(self._path) as file:
            yield from map(json.loads, file)


class Tally:
    """In place of a list or a dictionary that would grow: how many things, and how many bytes, were put into it."""

    def __init__(self) -> None:
        self.count = self.bytes = 0

    def append(self, content: bytes) -> None:
        self.count, self.bytes = self.count + 1, self.bytes + len(content)

    def __setitem__(self, name: str, content: bytes) -> None:
        self.append(content)


class LeanServer(WandbServer):
    """Keeps of each run what lists of runs ask for, and its rows on disk."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self.bodies, self.uploads = Tally(), Tally()

    def take_rows(self, name: str, body: dict) -> None:
        self.operations.append("file_stream")
        run = self.runs[name]
        run.rows = list(run.rows)
        super().take_rows(name, body)
        if body.get("complete") and run.rows:
            run.rows = OnDisk(self._folder / f"{name}.jsonl", run.rows)

    def told(self) -> dict:
        """What it was asked for since it was last asked this, and what it has."""
        with self.lock:
            said = {
                "requests": self.bodies.count,
                "mib": round(self.bodies.bytes / 2**20, 1),
                "uploads": self.uploads.count,
                "operations": dict(Counter(self.operations)),
                "unknown": sorted({operation for operation, _ in self.unknown}),
                "rows": sum(len(run.rows) for run in self.runs.values()),
                "server_gib": round(psutil.Process().memory_info().rss / 2**30, 2),
            }
            self.operations.clear()
            self.bodies, self.uploads = Tally(), Tally()
        return said


def serve(connection: Connection, folder: Path) -> None:
    """Say where the server is; then, each time when anything comes, what it was told. It ends with the connection."""
    server = LeanServer(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection.send(server.url)
    while connection.recv():
        connection.send(server.told())


class Followed:
    """A command whose lines are kept and whose memory is looked at while it runs.

    looks: bytes of the process, and of those that it started.
    """

    def __init__(self, *words: str) -> None:
        self.looks: list[tuple[int, int]] = []
        self.lines: list[str] = []
        began = time.perf_counter()
        command = [sys.executable, "-m", "sweep", *words]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        looking = threading.Thread(target=self._look)
        looking.start()
        for line in self._process.stdout:
            self.lines.append(line.rstrip())
            if len(self.lines) % 100 == 0:
                print(f"{len(self.lines)} lines in {time.perf_counter() - began:.0f} s", flush=True)
        self.status = self._process.wait()
        self.seconds = time.perf_counter() - began
        looking.join()

    def _look(self) -> None:
        process = psutil.Process(self._process.pid)
        while self._process.poll() is None:
            started = 0
            try:
                for child in process.children(recursive=True):
                    started += child.memory_info().rss
                self.looks.append((process.memory_info().rss, started))
            except psutil.Error:  # one of them has just ended
                pass
            time.sleep(LOOK_SECONDS)

    def most(self) -> dict[str, list[float]]:
        """The most MiB that were held in each quarter of the time."""
        cuts = [quarter * len(self.looks) // 4 for quarter in range(5)]
        quarters = [self.looks[first:last] for first, last in pairwise(cuts)]
        of = (("own_mib", 0), ("started_mib", 1))
        return {name: [round(max(look[i] for look in q) / 2**20, 1) for q in quarters] for name, i in of}


def followed(connection: Connection, root: Path, *words: str) -> dict:
    """What `sync` with these words took."""
    command = Followed("sync", NAME, *words, "--output-dir", str(root))
    connection.send(True)
    said = connection.recv()
    if command.status or said["unknown"]:
        sys.exit("\n".join([*command.lines[-5:], f"sync ended with status {command.status}; {said['unknown']}"]))
    total = next(line for line in reversed(command.lines) if line.startswith(f"sync {NAME}: "))
    print(f"{' '.join(['sync', *words])}: {command.seconds:.1f} s; {total}", flush=True)
    return {"s": round(command.seconds, 1), "total": total} | command.most() | said


def with_samples(root: Path, runs: int, steps: int, url: str) -> int:
    """Write the sweep, with answers as the trained run sampled them; the number of runs."""
    tracking = ["tracking.mode=offline", f"tracking.base_url={url}", "tracking.project=p"]
    plan, found = write(root, runs, steps, *tracking, f"evaluation.every={EVALUATED_EVERY}")
    answers = [json.loads(line) for line in found.samples.read_text().splitlines()]
    answers = [answer for answer in answers if answer["step"] == answers[-1]["step"]]
    for task in plan.cells:
        log = RowLog(RunDirectory(task.directory).samples, 0)
        for step in range(EVALUATED_EVERY, steps + 1, EVALUATED_EVERY):
            for answer in answers:
                log.write({**answer, "step": step})
        log.close()
    return len(plan.cells)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--keep", type=Path, help="where to leave the sweep and what the server has")
    asked = parser.parse_args()
    os.environ.update(WANDB_API_KEY="0123456789" * 4)
    with tempfile.TemporaryDirectory(prefix="sync-") as temporary:
        folder = asked.keep or Path(temporary)
        (folder / "server").mkdir(parents=True)
        here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=serve, args=(there, folder / "server"), daemon=True)
        process.start()
        root = folder / "runs"
        runs = with_samples(root, asked.runs, asked.steps, here.recv())
        found = {"runs": runs, "steps": asked.steps, "sync": followed(here, root)}
        seconds, rows = found["sync"]["s"], found["sync"]["rows"]
        if rows != runs * asked.steps:
            sys.exit(f"the server has {rows} rows of {runs * asked.steps}")
        found |= {"runs_per_s": round(runs / seconds, 2), "rows_per_s": round(rows / seconds)}
        print(f"{found['runs_per_s']} runs/s, {found['rows_per_s']} rows/s", flush=True)
        found |= {"again": followed(here, root), "check": followed(here, root, *CHECKED, "--check")}
        process.terminate()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
