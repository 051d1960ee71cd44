"""Find an attempt that hangs, and end it: a thread on every process reports where that process is and watches the rest.

Every process watches all others, so that any of them may hang. The lowest rank that still answers acts: it requests the
others' stacks, writes all stacks to the log, and calls `give_up` with the reason. Nothing here waits for the
main thread, which may be the one that hangs. `logging` is not used either, because the main thread may hold its locks.
"""

from __future__ import annotations

import faulthandler
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.config.cell import ChecksConfig
from sweep.job.patience import AwakeClock, Observer, Standing, answering, beat_seconds, complaint, patience
from sweep.job.phases import Phases
from sweep.run.process import start_of
from sweep.run.ranks import STALLED_EXIT, Beat, Ranks

ANSWER_SECONDS = 10.0  # for the stacks of the others
END_SECONDS = 90.0  # from the verdict to the end of every process, even if something else hangs


@dataclass(frozen=True)
class Hang:
    """Why an attempt is ended, and the last beat of each of its processes."""

    reason: str
    beats: Sequence[Beat]


class Watchdog:
    """Watches from its `start` to its `stop`. One of the processes calls `give_up`, at most once."""

    def __init__(
        self,
        ranks: Ranks,
        rank: int,
        world_size: int,
        phases: Phases,
        checks: ChecksConfig,
        log: Path,
        give_up: Callable[[Hang], None],
    ) -> None:
        self.ranks, self.rank, self.world_size = ranks, rank, world_size
        self.phases, self.checks, self.log, self.give_up = phases, checks, log, give_up
        self.interval = beat_seconds(checks)
        self._beats = 0
        self._identity = {
            "host": platform.node(),
            "pid": os.getpid(),
            "process_started": start_of(),
        }
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Open the files of the beats and stacks, and start the thread."""
        self.ranks.open()
        self._stacks = open(self.ranks.stacks(self.rank), "w+")  # noqa: SIM115 (faulthandler writes to it for as long)
        self._thread.start()

    def stop(self) -> None:
        """End the watch, and write a last beat, which marks that this process left the attempt in order."""
        self._stopped.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()
        with suppress(OSError):  # the run must not fail at its end because of this
            self._beat(ended=True)
        self._stacks.close()

    def _watch(self) -> None:
        observer, clock = Observer(self.world_size), AwakeClock(self.interval, time.monotonic())
        while not self._stopped.wait(self.interval if self._beats else 0):
            # If other code never releases the interpreter, this thread cannot run. A timer of faulthandler, which needs
            # no interpreter, then writes the stacks.
            faulthandler.dump_traceback_later(max(2.0, self.checks.stall_minutes * 30), file=self._stacks)
            try:
                self._beat()
                now = clock.tick(time.monotonic())
                standings = observer.look(self.ranks.read(self.world_size), now)
                judged = self.ranks.verdict
            except (OSError, ValueError):
                continue  # the file system is away or broken: without beats no process can be judged
            if judged:
                self._follow()
            heard = answering(standings, self.interval)
            if any(s.overdue for s in standings) and heard[:1] == [self.rank] and self.ranks.give_verdict():
                self._lead(standings, heard)
                return

    def _beat(self, **more: bool) -> None:
        place = self.phases.place
        self._beats += 1
        said = Beat(
            rank=self.rank,
            phase=place.phase,
            since=place.since,
            changes=place.changes,
            beats=self._beats,
            patience=patience(place.past, self.checks),
            **self._identity,
        )
        self.ranks.write(replace(said, **more))

    def _follow(self) -> None:
        """Another process gave the verdict: write the stacks for it, and end this process if it does not do so."""
        self._dump()
        time.sleep(END_SECONDS)
        os._exit(STALLED_EXIT)

    def _lead(self, standings: Sequence[Standing], heard: Sequence[int]) -> None:
        # The process ends even if the rest hangs, on a file system for example.
        faulthandler.dump_traceback_later(END_SECONDS, exit=True, file=self._stacks)
        last, reason = {s.rank: s.beat for s in standings if s.beat}, complaint(standings, heard)
        try:
            last = self._log_stacks(reason, last, heard)
        except OSError as error:
            os.write(2, f"{reason}\nthe stacks cannot be written: {error}\n".encode())
        self.give_up(Hang(reason, [last[rank] for rank in sorted(last)]))

    def _log_stacks(self, reason: str, last: dict[int, Beat], heard: Sequence[int]) -> dict[int, Beat]:
        """Write the reason and the stacks of all processes to the log; returns the last beat of each process."""
        self._dump()
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline and not all(last[rank].dumped for rank in heard):
            time.sleep(0.1)
            last = self.ranks.read(self.world_size)
        with open(self.log, "a") as log:
            log.write(f"{reason}\n{self._all_stacks(last)}")
        return last

    def _dump(self) -> None:
        self._stacks.seek(0)
        self._stacks.truncate()
        faulthandler.dump_traceback(file=self._stacks, all_threads=True)
        self._stacks.flush()
        self._beat(dumped=True)

    def _all_stacks(self, last: dict[int, Beat]) -> str:
        parts = []
        for rank in range(self.world_size):
            file = self.ranks.stacks(rank)
            text = file.read_text(errors="replace") if file.exists() else ""
            if rank in last and last[rank].dumped:
                parts.append(f"stacks of rank {rank}:\n{text}")
            elif text:
                parts.append(f"rank {rank} does not answer; its stacks when it last could write them:\n{text}")
            else:
                parts.append(f"rank {rank} does not answer, so there are no stacks of it\n")
        return "".join(parts)


@contextmanager
def watching(watchdog: Watchdog) -> Iterator[None]:
    """Run the watchdog for as long as the block runs."""
    watchdog.start()
    try:
        yield
    finally:
        watchdog.stop()
