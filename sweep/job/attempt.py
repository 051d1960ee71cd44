"""One attempt at a run, on one of its processes: lock, log, signals, states."""

from __future__ import annotations

import logging
import math
import os
import platform
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sweep.config.cell import CellConfig
from sweep.job.phases import Phases
from sweep.job.processes import gpus_of
from sweep.job.stalls import give_up
from sweep.job.watchdog import Hang, Watchdog, watching
from sweep.run.costs import Spent
from sweep.run.directory import RunDirectory
from sweep.run.files import read_json
from sweep.run.process import start_of
from sweep.run.provenance import code_hash, environment, git_commit
from sweep.run.ranks import Ranks
from sweep.run.slurm_job import STOP_SIGNALS, SlurmJob
from sweep.run.state import State
from sweep.run.unwritable import disk_fault

log = logging.getLogger("sweep")
SAFETY, SAFETY_SECONDS = 1.5, 3.0  # a checkpoint may take longer than the slowest before


class Interrupted(Exception):
    """The process was asked to stop, and everything worth keeping is on disk."""


class Refused(Exception):
    """What was found out on the way rules the run out: it ends for good, with this as its reason."""


class StopRequest:
    """Set by SIGTERM, SIGINT or SIGUSR2; training looks at it between steps. `deadline`: when the process is killed."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.grace_seconds: dict[int, float] = {}  # from a signal to the kill; where not known, for ever
        self.number: int | None = None
        self.deadline = math.inf
        self._at_once = False

    def __bool__(self) -> bool:
        return self._event.is_set()

    def listen(self) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # those that came earlier arrive now

    @contextmanager
    def ending_at_once(self) -> Iterator[None]:
        """Run a block in which there is nothing to save: a request to stop ends it then and there.

        Raises:
            Interrupted: a stop was requested, before the block or while it ran.
        """
        self._at_once = True
        try:
            if self:
                raise Interrupted
            yield
        except Exception as error:
            if self:  # whatever it is: another process that has left already takes the connection along
                raise Interrupted from error
            raise
        finally:
            self._at_once = False

    def leaves(self, seconds: float) -> bool:
        """Whether something that took `seconds` before can be finished in time."""
        return time.monotonic() + SAFETY * seconds + SAFETY_SECONDS < self.deadline

    def wait(self) -> None:
        self._event.wait()

    def _stop(self, number: int, _frame) -> None:
        # No logging here: the handler may interrupt a write to the same log.
        os.write(2, f"asked to stop by {signal.Signals(number).name}\n".encode())
        if self._event.is_set():
            return
        self.number = number
        self.deadline = time.monotonic() + self.grace_seconds.get(number, math.inf)
        self._event.set()
        if self._at_once:
            raise Interrupted


@contextmanager
def attempt(path: Path, rank: int, world_size: int, meeting: Path):
    """Work on the run at `path`: yields (directory, configuration, stop request, phases).

    Whoever works names what it is at by `phases`, and is ended where it stays in one for too long. Rank 0 holds the
    lock and writes the states; an exception becomes `failed` with its last line and goes on up, so that the job fails
    in the cluster's eyes too. `Interrupted` becomes `interrupted` and ends the job in order; where a cluster
    interrupted it, the job goes back into its queue.
    """
    run, stop, phases = RunDirectory(path), StopRequest(), Phases()
    config, job = run.read_config(), SlurmJob.of_this_process()
    ranks = Ranks(run.ranks / meeting.stem)

    def end(hang: Hang) -> None:
        give_up(run, job, hang, wanted=not stop)

    watchdog = Watchdog(ranks, rank, world_size, phases, config.checks, run.log, end)
    if job is not None:
        stop.grace_seconds = {signal.SIGUSR2: config.cluster.signal_seconds, signal.SIGTERM: job.grace_seconds}
    stop.listen()
    if rank > 0:
        logging.basicConfig(level=logging.INFO, stream=sys.stdout, force=True)
        with suppress(Interrupted, Refused), watching(watchdog):
            yield run, config, stop, phases
        return
    with run.exclusive() as last_heartbeat:
        ended = threading.Event()
        try:
            ranks.remove_others()
            first = _begin(run, job, world_size, last_heartbeat)
            if job is not None:
                threading.Thread(target=_requeue_in_time, args=(run, job, stop, ended, first), daemon=True).start()
            with watching(watchdog):
                yield run, config, stop, phases
        except Interrupted:
            ended.set()
            log.info("interrupted; the same command goes on from here")
            run.write_last_state(state=State.INTERRUPTED, note="stopped on request")
            if job is not None:
                _go_on_later(run, job, stop, first)
        except Refused as reason:
            ended.set()
            log.info("refused: %s", reason)
            run.write_last_state(state=State.REFUSED, note=str(reason))
        except BaseException as error:
            ended.set()
            _fail(run, config, error)
            raise
        else:
            ended.set()
            run.write_last_state(state=State.DONE, note="")


def _fail(run: RunDirectory, config: CellConfig, error: BaseException) -> None:
    """Record what ended the attempt, to be called while it is handled."""
    line = disk_fault(error, run.path, Path(config.cache_dir), Path(tempfile.gettempdir()))
    line = line or f"{type(error).__name__}: {error}".splitlines()[0]
    try:
        run.write_last_state(state=State.FAILED, error=line, note=line)
    except OSError as unwritten:  # `status` then sees a dead process and looks at the disk itself
        log.error("the state cannot be written: %s", unwritten)
    log.exception("failed: %s", line)  # after the state, whose room it may need


def _begin(run: RunDirectory, job: SlurmJob | None, world_size: int, last_heartbeat: float | None) -> int:
    """Open the log, record what works here; returns what earlier attempts reached.

    Args:
        last_heartbeat: of the attempt before, which tells until when it lived where it could not say so itself.
    """
    _log_to(run)
    run.set_room_aside()
    made = read_json(run.provenance)
    if made and made["code"] != code_hash():
        log.warning("the code differs from the last attempt's: %s then, %s now", made["code"], code_hash())
    run.add_provenance(code=code_hash(), git=git_commit(), **environment())
    before, began = run.read_state(), start_of()
    own = Spent(began=began, processes=world_size, gpus=gpus_of(world_size))
    run.write_state(
        state=State.RUNNING,
        attempt=before.attempt + 1,
        spent=[*before.with_attempt_closed(last_heartbeat), own],
        pid=os.getpid(),
        process_started=began,
        host=platform.node(),
        job=job and job.id,
        grace_seconds=job and job.grace_seconds,
        started=time.time(),
        error=None,
        note="",
    )
    return before.reached


def _go_on_later(run: RunDirectory, job: SlurmJob, stop: StopRequest, first: int) -> None:
    """Requeue a job that its time limit or a preemption interrupted. A cancelled one stays cancelled.

    Raises:
        RuntimeError: the time limit is too short to get anywhere.
    """
    if stop.number == signal.SIGUSR2 and run.read_state().reached <= first:
        line = "the time limit came before anything was finished that could be resumed; raise resources.hours"
        run.write_state(state=State.FAILED, error=line, note=line)
        raise RuntimeError(line)
    if stop.number == signal.SIGUSR2 or (stop.number == signal.SIGTERM and job.being_preempted()):
        run.write_state(note="time limit" if stop.number == signal.SIGUSR2 else "preempted")
        log.info("back into the queue")
        job.requeue()


def _requeue_in_time(run: RunDirectory, job: SlurmJob, stop: StopRequest, ended: threading.Event, first: int) -> None:
    """Where a step outlasts what is left of the time limit, give the step up: the last checkpoint serves."""
    stop.wait()
    if stop.number != signal.SIGUSR2:
        return
    if not ended.wait(max(0.0, stop.deadline - time.monotonic() - SAFETY_SECONDS)):
        os.write(2, b"no time left for this step\n")
        _go_on_later(run, job, stop, first)


def _log_to(run: RunDirectory) -> None:
    handlers = [logging.FileHandler(run.log), logging.StreamHandler(sys.stdout)]
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", handlers=handlers, force=True
    )
