"""What W&B's client looks at and leaves behind in a process: variables of the environment, and a process of its own."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from contextlib import suppress

import psutil

from sweep.config.wandb_limits import OF_ONE_RUN, TAKEN
from sweep.run.bounded import CallFailed, within

SERVICE = "wandb-core"  # the process that W&B starts beside this one
END_SECONDS = 1.0  # for W&B to end its process by itself


def settle(environment: MutableMapping[str, str]) -> None:
    """Leave W&B nothing in `environment` that would count beside the frozen configuration."""
    for name in (*TAKEN, *OF_ONE_RUN):
        if name != "WANDB_BASE_URL":
            environment.pop(name, None)
    environment["WANDB_SILENT"] = "true"  # it would name a `wandb sync` that finds nothing
    # W&B's reports on its own errors would keep the process from its end for 10 s where the server is slow.
    environment["WANDB_ERROR_REPORTING"] = "false"


def end_service(failed: bool) -> None:
    """End W&B's own process, for which W&B would otherwise wait when this one exits, for ever where it hangs.

    Args:
        failed: it may hang, and is ended at once.
    """
    if failed:
        _kill_service()
    wandb = sys.modules.get("wandb")
    if wandb is not None and hasattr(wandb, "teardown"):
        with suppress(CallFailed):
            within(END_SECONDS, wandb.teardown)
    _kill_service()


def _kill_service() -> None:
    """With what it started itself, which would notice only after a while."""
    for process in psutil.Process().children():
        with suppress(psutil.Error):
            if process.name() == SERVICE:
                family = [process, *process.children(recursive=True)]
                for member in family:
                    with suppress(psutil.NoSuchProcess):
                        member.kill()
                psutil.wait_procs(family, END_SECONDS)
