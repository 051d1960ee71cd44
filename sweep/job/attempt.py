"""Run one attempt of a job on one of its processes: lock the run, open its log, catch signals, write its states."""

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
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from sweep.config.cell import CellConfig, InlineCluster
from sweep.job.guest import as_guest, was_left
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
# Time allowed for a checkpoint: 1.5 × the slowest so far, plus 3 s.
SAFETY, SAFETY_SECONDS = 1.5, 3.0


class Interrupted(Exception):
    """A stop of the process was requested, and everything worth keeping is on disk."""


class Refused(Exception):
    """The job found that the run makes no sense. The run ends for good, with this message as the reason."""


class StopRequest:
    """A request by a signal (SIGTERM, SIGINT or SIGUSR2) to stop. Training looks at it between steps.

    can_interrupt: whether a second SIGINT raises KeyboardInterrupt wherever it finds the process.
    grace_seconds: for each signal the time from its arrival until the process is killed; without end if it is missing.
    number: the signal that came first; None before one came.
    deadline: when the process will be killed, as `time.monotonic()` counts.
    """

    def __init__(self, can_interrupt: bool = False) -> None:
        """`can_interrupt`: whether a second SIGINT raises KeyboardInterrupt at once, wherever the process is."""
        self._event = threading.Event()
        self._can_interrupt = can_interrupt
        self.grace_seconds: dict[int, float] = {}
        self.number: int | None = None
        self.deadline = math.inf
        self._at_once = False

    def __bool__(self) -> bool:
        return self._event.is_set()

    def listen(self) -> None:
        """Catch the signals from now on."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # signals that came earlier were held back until here

    @contextmanager
    def ending_at_once(self) -> Iterator[None]:
        """Run a block in which there is nothing to save, so that a request to stop ends it at once.

        Raises:
            Interrupted: a stop was requested, before the block or while it ran.
        """
        self._at_once = True
        try:
            if self:
                raise Interrupted
            yield
        except Exception as error:
            # The error does not matter: if another process stopped first, this one only sees a broken connection.
            if self:
                raise Interrupted from error
            raise
        finally:
            self._at_once = False

    def leaves(self, seconds: float) -> bool:
        """Return whether something that took `seconds` before still fits before the deadline."""
        return time.monotonic() + SAFETY * seconds + SAFETY_SECONDS < self.deadline

    def wait(self) -> None:
        """Wait until a signal requests the process to stop."""
        self._event.wait()

    def _stop(self, number: int, _frame) -> None:
        # No logging here: the handler may interrupt a write to the same log.
        os.write(2, f"asked to stop by {signal.Signals(number).name}\n".encode())
        if self._event.is_set():
            if self._can_interrupt and number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.number = number
        self.deadline = time.monotonic() + self.grace_seconds.get(number, math.inf)
        self._event.set()
        if self._at_once:
            raise Interrupted


@contextmanager
def attempt(
    path: Path, rank: int, world_size: int, meeting: Path
) -> Iterator[tuple[RunDirectory, CellConfig, StopRequest, Phases]]:
    """Work on the run at `path`; rank 0 holds the run's lock and writes its states.

    The block names what it does with the phases that it gets. If it stays in one for too long, the watchdog ends the
    attempt. Under `cluster=inline` the attempt works in the process of the launch, which is left as it was found.

    Args:
        meeting: the file of this attempt in which its processes find each other; see `sweep.job.processes.join`.
    """
    run = RunDirectory(path)
    config = run.read_config()
    is_guest = isinstance(config.cluster, InlineCluster)
    stop, phases = StopRequest(can_interrupt=is_guest), Phases()
    with as_guest(stop) if is_guest else nullcontext(), _attempt(run, config, rank, world_size, meeting, stop, phases):
        try:
            yield run, config, stop, phases
        except BaseException as error:
            if is_guest and was_left(error):
                raise Interrupted from error
            raise


@contextmanager
def _attempt(
    run: RunDirectory,
    config: CellConfig,
    rank: int,
    world_size: int,
    meeting: Path,
    stop: StopRequest,
    phases: Phases,
) -> Iterator[None]:
    """Catch signals, watch for hangs and keep the states of the run while the block runs."""
    job, ranks = SlurmJob.of_this_process(), Ranks(run.ranks / meeting.stem)

    def end(hang: Hang) -> None:
        """End the attempt because it hangs."""
        give_up(run, job, hang, wanted=not stop)

    watchdog = Watchdog(ranks, rank, world_size, phases, config.checks, run.log, end)
    # A person at a breakpoint may take all the time they want, so nothing watches an inline attempt.
    watched = nullcontext() if isinstance(config.cluster, InlineCluster) else watching(watchdog)
    if job is not None:
        stop.grace_seconds = {signal.SIGUSR2: config.cluster.signal_seconds, signal.SIGTERM: job.grace_seconds}
    stop.listen()
    if rank > 0:
        logging.basicConfig(level=logging.INFO, stream=sys.stdout, force=True)
        with suppress(Interrupted, Refused), watched:
            yield
        return
    with _with_states(run, config, job, world_size, stop, ranks), watched:
        yield


@contextmanager
def _with_states(
    run: RunDirectory, config: CellConfig, job: SlurmJob | None, world_size: int, stop: StopRequest, ranks: Ranks
) -> Iterator[None]:
    """Hold the lock of the run; write its state before the block, and after it according to how the block ends:

    * without an exception: `done`.
    * with `Interrupted`: `interrupted`, without an error. If it was Slurm that stopped the job, it is queued again.
    * with `Refused`: `refused`, without an error.
    * with any other exception: `failed`, with its last line. It is raised again, so that the job fails for Slurm too.
    """
    with run.exclusive() as last_heartbeat:
        ended = threading.Event()
        try:
            ranks.remove_others()
            first = _begin(run, config, job, world_size, last_heartbeat)
            if job is not None:
                threading.Thread(target=_requeue_in_time, args=(run, job, stop, ended, first), daemon=True).start()
            yield
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
    """Write down what ended the attempt; called from the handler of `error`."""
    line = disk_fault(error, run.path, Path(config.cache_dir), Path(tempfile.gettempdir()))
    line = line or f"{type(error).__name__}: {error}".splitlines()[0]
    try:
        run.write_last_state(state=State.FAILED, error=line, note=line)
    except OSError as unwritten:  # `status` will find a dead process, and looks at the disk itself
        log.error("the state cannot be written: %s", unwritten)
    log.exception("failed: %s", line)  # after the state, which may need the room on the disk


def _begin(
    run: RunDirectory, config: CellConfig, job: SlurmJob | None, world_size: int, last_heartbeat: float | None
) -> int:
    """Open the log, and record the attempt with its code and machine. Returns the progress of earlier attempts.

    Args:
        last_heartbeat: of the attempt before: the time until which it was alive, if it could not record its end.
    """
    _log_to(run)
    run.set_room_aside()
    made = read_json(run.provenance)
    if made and made["code"] != code_hash():
        log.warning("the code differs from the last attempt's: %s then, %s now", made["code"], code_hash())
    run.add_provenance(code=code_hash(), git=git_commit(), **environment())
    before, started = run.read_state(), start_of()
    began = time.time() if isinstance(config.cluster, InlineCluster) else started  # a launch's process had other work
    own = Spent(began=began, processes=world_size, gpus=gpus_of(world_size))
    run.write_state(
        state=State.RUNNING,
        attempt=before.attempt + 1,
        spent=[*before.with_attempt_closed(last_heartbeat), own],
        pid=os.getpid(),
        process_started=started,
        host=platform.node(),
        devices=os.environ.get("CUDA_VISIBLE_DEVICES"),
        job=None if job is None else job.id,
        grace_seconds=None if job is None else job.grace_seconds,
        started=time.time(),
        error=None,
        note="",
    )
    return before.reached


def _go_on_later(run: RunDirectory, job: SlurmJob, stop: StopRequest, first: int) -> None:
    """Queue a job again that its time limit or a preemption interrupted. A job that was cancelled stays cancelled.

    Args:
        first: the progress with which the attempt began.
    Raises:
        RuntimeError: the attempt made no progress before its time limit, so that the next one would not either.
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
    """Queue the job again just before its time limit, even if a step is still running: it resumes from a checkpoint.

    This runs in a thread of its own. `ended` is set once the attempt has ended in another way.
    """
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
