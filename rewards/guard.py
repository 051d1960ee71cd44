"""A pool of processes for items that are not trusted: answers to grade, texts for a user's own detectors.

One that exceeds its deadline or dies is killed and replaced, whatever the item was.

The workers are plain child processes with pipes. Nothing forks a process that holds a GPU or an engine's threads, and
the parent installs no signal handlers, so the pool also works outside the main thread.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rewards.worker import EXCEEDED, READY, WALL_FACTOR

_ROOT = Path(__file__).resolve().parents[1]
_START = (
    # In the place of the current directory, which may hold packages of the same names.
    "import json, sys; sys.path[0] = sys.argv[1]; from {module} import main; "
    "main(float(sys.argv[2]), int(sys.argv[3]), json.loads(sys.stdin.readline()))"
)
_START_SECONDS = 300  # enough for imports from a busy network file system
_BATCH = 32  # most items in one message


class Kind(NamedTuple):
    """A kind of worker: what messages call it, the module whose `main` it runs, and its answer when it was killed."""

    name: str
    module: str
    exceeded: Any


GRADING = Kind("grading", "rewards.worker", (EXCEEDED, False))


class Guard:
    """A pool of worker processes, started when first needed and kept until `close`."""

    def __init__(
        self, workers: int, deadline_s: float, memory_gib: float, kind: Kind = GRADING, settings: Any = None
    ) -> None:
        self.workers, self.deadline_s, self.memory_gib = workers, deadline_s, memory_gib
        self.kind, self.settings = kind, settings
        self._pool: list[_Worker] = []
        self._failed_starts = 0
        self._lock = threading.Lock()

    def verdicts(self, items: Sequence[Any]) -> list[Any]:
        """Return a worker's answer to each item, or the kind's `exceeded` if it ran out of time or memory.

        To grade, an item is (answer, gold), and the answer to it is (outcome, whether the gold was compared as text).

        Raises:
            RuntimeError: a worker does not start. The message ends with its standard error.
        """
        with self._lock:
            return self._verdicts(items)

    def _verdicts(self, items: Sequence[Any]) -> list[Any]:
        found: dict[int, Any] = {}
        waiting, died = deque(range(len(items))), set()
        while len(self._pool) < min(self.workers, len(items)):
            self._pool.append(self._new())
        while len(found) < len(items):
            size = max(1, min(_BATCH, len(waiting) // (2 * len(self._pool))))  # small batches balance the workers
            for worker in self._pool:
                if worker.ready and not worker.pending and waiting:
                    batch = [waiting.popleft() for _ in range(min(size, len(waiting)))]
                    if not worker.send(batch, [items[i] for i in batch]):
                        waiting.extendleft(reversed(batch))
            with selectors.DefaultSelector() as selector:
                for worker in self._pool:
                    selector.register(worker.output, selectors.EVENT_READ, worker)
                nearest = min(w.deadline for w in self._pool)
                events = selector.select(max(0.0, min(nearest - time.monotonic(), 60.0)))
            for key, _ in events:
                found.update(key.data.receive())
            for place, worker in enumerate(self._pool):
                late = time.monotonic() > worker.deadline
                self._count_start(worker, failed=not worker.ready and (worker.dead or late))
                if worker.dead or late:
                    rest = list(worker.pending)
                    # A worker that died within its limits may have been killed by something else, such as the OOM
                    # killer: the item is tried once more. If a second worker dies of it, it counts as exceeded.
                    worker.kill()
                    if rest and (worker.overran or rest[0] in died):
                        found[rest.pop(0)] = self.kind.exceeded
                    else:
                        died.update(rest[:1])
                    waiting.extendleft(reversed(rest))
                    self._pool[place] = self._new()
        return [found[i] for i in range(len(items))]

    def _count_start(self, worker: _Worker, failed: bool) -> None:
        """Count failed starts in a row; raise RuntimeError at the third."""
        self._failed_starts = self._failed_starts + 1 if failed else 0 if worker.ready else self._failed_starts
        if self._failed_starts == 3:
            raise RuntimeError(f"a {self.kind.name} worker does not start: {worker.error_text}")

    def _new(self) -> _Worker:
        return _Worker(self.deadline_s, self.memory_gib, self.kind.module, self.settings)

    @property
    def processes(self) -> list[int]:
        """The process ids of the workers that run now."""
        return [w.process.pid for w in self._pool]

    def close(self) -> None:
        """Stop all workers."""
        with self._lock:
            for worker in self._pool:
                worker.kill()
            self._pool = []


class _Worker:
    """One worker process, and the parent's ends of its pipes."""

    def __init__(self, deadline_s: float, memory_gib: float, module: str, settings: Any) -> None:
        self.deadline_s = deadline_s
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the process
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", _START.format(module=module)),
                *(str(_ROOT), str(deadline_s), str(int(memory_gib * 2**30))),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            start_new_session=True,
        )
        self.output = self.process.stdout
        os.set_blocking(self.output.fileno(), False)
        self.ready = self.dead = False
        self.pending: deque[int] = deque()
        self.deadline = time.monotonic() + _START_SECONDS
        self._partial = b""
        self._write(settings)

    def _write(self, message: Any) -> bool:
        """Write one line of JSON. Return False if the worker died before it read all of it."""
        rest = memoryview(json.dumps(message).encode() + b"\n")
        try:
            while rest:  # a signal may end a long write early
                rest = rest[self.process.stdin.write(rest) :]
        except BrokenPipeError:
            self.dead = True
            return False
        return True

    def send(self, places: list[int], items: list[Any]) -> bool:
        """Write a batch to a worker that waits for one. Return False if it died while it waited."""
        if not self._write(items):
            return False
        self.pending.extend(places)
        self.deadline = time.monotonic() + WALL_FACTOR * self.deadline_s
        return True

    def receive(self) -> dict[int, Any]:
        """Return the answers that have arrived, by place. Each of them starts the clock of the next item."""
        data = self.output.read(1 << 16)
        if not data:
            self.dead = data == b""
            return {}
        *lines, self._partial = (self._partial + data).split(b"\n")
        found = {}
        for line in lines:
            if not self.ready:
                self.ready = line.decode() == READY
            else:
                found[self.pending.popleft()] = tuple(json.loads(line))
        self.deadline = time.monotonic() + WALL_FACTOR * self.deadline_s if self.pending else float("inf")
        return found

    @property
    def error_text(self) -> str:
        """The end of its standard error."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-2000:] or "it was killed"

    @property
    def overran(self) -> bool:
        """True if its own timer killed it, or the parent's deadline has passed."""
        return self.process.returncode == -signal.SIGPROF or time.monotonic() > self.deadline

    def kill(self) -> None:
        """Kill the process and close its pipes."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.output.close()
        self._errors.close()
