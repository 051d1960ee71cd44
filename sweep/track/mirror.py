"""Sends the rows of a training to W&B while it goes on. A run is complete without it; nothing here may end a run.

A thread reads metrics.jsonl and sends what it finds, so that training never waits for W&B before its own end, and there
no longer than CLOSE_SECONDS. What is not sent by then, `python -m sweep sync` sends later: the log says so once.
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

CLOSE_SECONDS = 5.0  # that the end of training may take here, without what `end_service` takes
# Nobody waits for opening and sending, and a slow server is better than none.
PATIENCE = Patience(open=90.0, call=90.0, finish=CLOSE_SECONDS - 1)
LOCK_SECONDS = 1.0  # between two looks whether another process still sends the rows
log = logging.getLogger("sweep.track")


class Mirror:
    """The W&B run of a training that this process works on."""

    def __init__(self, run: RunDirectory, config: CellConfig) -> None:
        """Begins to send what metrics.jsonl has; steps that will be made again must be gone from it."""
        self._run, self._config = run, config
        self._wake, self._closing = threading.Event(), threading.Event()
        self._state = State.RUNNING
        self._failed, self._failing = False, threading.Lock()
        self._thread = threading.Thread(target=self._work, daemon=True, name="W&B")
        self._thread.start()

    def row_written(self) -> None:
        """Say that metrics.jsonl has grown."""
        self._wake.set()

    def close(self, state: State) -> None:
        """Wait until W&B has every row and what the training ended as, but no longer than is set."""
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
        except Exception as error:  # a mistake of ours, which shows, and ends no run either
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
            closing = self._closing.is_set()  # in this order: what is written before either is set, is read below
            writer.send_new()
            if closing:
                break
            self._wake.wait()
        writer.finish(self._described(listed), exit_code=int(self._state != State.DONE), later={})

    def _described(self, listed: Listed) -> Described:
        return described(self._run, self._config, listed, self._state)

    def _give_up(self, failure: CallFailed) -> None:
        """Say so, once, whichever thread comes first, and end W&B's process, on which the other may wait."""
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
    """The mirror of a training that is tracked online; others say nothing to W&B before `sync` does."""
    return Mirror(run, config) if config.tracking.mode == "online" else None
