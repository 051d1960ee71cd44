"""One attempt at a run, on one of its processes: lock, log, signals, states."""

from __future__ import annotations

import logging
import os
import platform
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from sweep.run.directory import DONE, FAILED, INTERRUPTED, RUNNING, RunDirectory
from sweep.run.files import read_json
from sweep.run.provenance import code_hash, environment, git_commit

log = logging.getLogger("sweep")


class Interrupted(Exception):
    """The process was asked to stop, and everything worth keeping is on disk."""


class StopRequest:
    """Set by SIGTERM, SIGINT or SIGUSR2; training looks at it between steps."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(number, self._stop)

    def _stop(self, number: int, _frame) -> None:
        # No logging here: the handler may interrupt a write to the same log.
        self._event.set()
        os.write(2, f"asked to stop by {signal.Signals(number).name}\n".encode())


@contextmanager
def attempt(path: Path, rank: int):
    """Work on the run at `path`: yields (directory, configuration, stop request).

    Rank 0 holds the lock and writes the states; an exception becomes `failed` with its last line and goes on up,
    so that the job fails in the cluster's eyes too. `Interrupted` becomes `interrupted` and ends the job in order.
    """
    run, stop = RunDirectory(path), StopRequest()
    stop.listen()
    config = run.read_config()
    if rank > 0:
        logging.basicConfig(level=logging.INFO, stream=sys.stdout, force=True)
        with suppress(Interrupted):
            yield run, config, stop
        return
    with run.exclusive():
        _log_to(run)
        before = read_json(run.provenance)
        if before and before["code"] != code_hash():
            log.warning("the code differs from the last attempt's: %s then, %s now", before["code"], code_hash())
        run.add_provenance(code=code_hash(), git=git_commit(), **environment())
        number = run.read_state().get("attempt", 0) + 1
        run.write_state(
            state=RUNNING,
            attempt=number,
            pid=os.getpid(),
            host=platform.node(),
            started=time.time(),
            error=None,
            note="",
        )
        try:
            yield run, config, stop
        except Interrupted:
            log.info("interrupted; the same command goes on from here")
            run.write_state(state=INTERRUPTED, note="stopped on request")
        except BaseException as error:
            log.exception("failed")
            line = f"{type(error).__name__}: {error}".splitlines()[0]
            run.write_state(state=FAILED, error=line, note=line)
            raise
        else:
            run.write_state(state=DONE, note="")


def _log_to(run: RunDirectory) -> None:
    handlers = [logging.FileHandler(run.log), logging.StreamHandler(sys.stdout)]
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", handlers=handlers, force=True
    )
