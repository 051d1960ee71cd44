"""Run an attempt as a guest in the process of the launch (`cluster=inline`), which goes on after it."""

from __future__ import annotations

import logging
import os
import signal
from bdb import BdbQuit
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch.distributed as dist

from sweep.job.starting import another_follows
from sweep.run.slurm_job import STOP_SIGNALS

if TYPE_CHECKING:
    from sweep.job.attempt import StopRequest


@contextmanager
def as_guest(stop: StopRequest) -> Iterator[None]:
    """Put everything back that an attempt in this block changes in its process: signal handlers, environment, logging.

    A signal that requested a stop of the attempt is raised again at the end, for the handler of the launch. torch's
    process group is left as well, because an attempt that fails does not leave it, and the next attempt joins one of
    its own.
    """
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    environment, log = dict(os.environ), logging.getLogger()
    level, of_log = log.level, list(log.handlers)
    try:
        yield
    finally:
        _leave()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        _put_back(environment)
        another_follows()
        for handler in [h for h in log.handlers if h not in of_log]:
            log.removeHandler(handler)
            handler.close()
        for handler in [h for h in of_log if h not in log.handlers]:
            log.addHandler(handler)
        log.setLevel(level)
        if stop:
            signal.raise_signal(stop.number)


def was_left(error: BaseException) -> bool:
    """Return whether a person ended the attempt by a second Ctrl-C, or left the debugger with `q`."""
    return isinstance(error, KeyboardInterrupt | BdbQuit) or isinstance(error.__cause__, BdbQuit)


def _leave() -> None:
    """Leave the process group if the attempt did not, and make DeepSpeed forget the groups that are gone.

    DeepSpeed keeps them in variables of two modules, and has no function that clears them.
    """
    if dist.is_initialized():
        dist.destroy_process_group()
    import deepspeed.comm.comm
    import deepspeed.utils.groups

    deepspeed.comm.comm.cdb = None
    deepspeed.utils.groups._WORLD_GROUP = None


def _put_back(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
