"""Send the rows of a training to W&B while it goes on. A run is complete without this, and no failure here may end a
run.

A thread reads metrics.jsonl and sends its rows, so that training waits for W&B only at its own end, and there at most
CLOSE_SECONDS. If rows remain, a warning in the log says once that `python -m sweep sync` sends them later.
"""

from __future__ import annotations

import logging
import shlex
import threading
import time

from sweep.config.cell import CellConfig
from sweep.run.bounded import CallFailed
from sweep.run.directory import RunDirectory
from sweep.run.files import try_lock
from sweep.run.state import State
from sweep.run.wandb_process import end_service
from sweep.track.axes import Listed, read_listed
from sweep.track.client import Manner, Patience, remedy
from sweep.track.described import Described, described
from sweep.track.writer import Writer, identifiers

CLOSE_SECONDS = 5.0  # longest wait at the end of training, without the time of `end_service`
# Training does not wait for opening and sending, so these limits are long: rows that arrive late are better than none.
PATIENCE = Patience(open=90.0, call=90.0, finish=CLOSE_SECONDS - 1)
LOCK_SECONDS = 1.0  # between two checks whether another process still sends the rows
log = logging.getLogger("sweep.track")


class Mirror:
    """The W&B run of a training that this process works on."""

    def __init__(self, run: RunDirectory, config: CellConfig) -> None:
        """Start the thread that sends rows. Rows of steps that will run again must have been dropped from
        metrics.jsonl.
        """
        self._run, self._config = run, config
        self._wake, self._closing = threading.Event(), threading.Event()
        self._state = State.RUNNING
        self._failed, self._failing = False, threading.Lock()
        self._thread = threading.Thread(target=self._work, daemon=True, name="W&B")
        self._thread.start()

    def row_written(self) -> None:
        """Tell the thread that metrics.jsonl has a new row."""
        self._wake.set()

    def close(self, state: State) -> None:
        """Wait until W&B has every row and the final `state`, but at most CLOSE_SECONDS."""
        began = time.monotonic()
        self._state = state
        self._closing.set()
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            self._give_up(CallFailed(f"it was not done within the {time.monotonic() - began:.0f} s that it is given"))
        elif not self._failed:
            end_service(failed=False)

    def _work(self) -> None:
        try:
            lock = self._locked()
            with lock:
                self._send_all()
        except CallFailed as failure:
            self._give_up(failure)
        except Exception as error:  # a defect of this code: it is logged, and must not end the run either
            log.exception("the W&B mirror failed")
            self._give_up(CallFailed(f"{type(error).__name__}: {error}"))

    def _locked(self):
        while (lock := try_lock(self._run.sending)) is None:
            if self._closing.wait(LOCK_SECONDS):
                raise CallFailed("another process sends the rows of this run", remedy="let that one end first")
        return lock

    def _send_all(self) -> None:
        listed = read_listed(self._run.root).get(str(self._run.path.relative_to(self._run.root)), Listed())
        current = identifiers(self._run)[-1]
        manner = Manner(self._run.path, PATIENCE, trains=True)
        writer = Writer(self._run, current, self._described(listed), self._config, manner)
        log.info("W&B: %s", writer.url)
        while True:
            self._wake.clear()
            closing = self._closing.is_set()  # read before the rows, so that rows written before `close` are sent
            writer.send_new()
            if closing:
                break
            self._wake.wait()
        writer.finish(self._described(listed), exit_code=int(self._state != State.DONE), later={})

    def _described(self, listed: Listed) -> Described:
        return described(self._run, self._config, listed, self._state)

    def _give_up(self, failure: CallFailed) -> None:
        """Log the failure once, from whichever thread meets it first, and end W&B's process.

        The other thread may wait for that process.
        """
        with self._failing:
            if self._failed:
                return
            self._failed = True
        command = shlex.join(["sync", self._config.name or "SWEEP", "--output-dir", str(self._run.root)])
        log.warning(
            "W&B failed (%s); training goes on without it, and metrics.jsonl has every row: %s, then "
            "`python -m sweep %s` sends them",
            failure,
            remedy(failure),
            command,
        )
        end_service(failed=True)


def open_mirror(run: RunDirectory, config: CellConfig) -> Mirror | None:
    """Return the mirror of a training that is tracked online, else None: other runs contact W&B only by `sync`."""
    return Mirror(run, config) if config.tracking.mode == "online" else None
