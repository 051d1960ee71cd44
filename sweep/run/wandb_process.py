"""Control W&B's client in this process: the environment variables that it reads, and the process that it starts."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from contextlib import suppress

import psutil

from sweep.config.wandb_limits import OF_ONE_RUN, TAKEN
from sweep.run.bounded import CallFailed, within

SERVICE = "wandb-core"  # the process that W&B starts beside this one
END_SECONDS = 1.0  # W&B has so long to end its process by itself


def settle(environment: MutableMapping[str, str]) -> None:
    """Remove all variables from `environment` by which W&B would override the frozen configuration."""
    for name in (*TAKEN, *OF_ONE_RUN):
        if name != "WANDB_BASE_URL":
            environment.pop(name, None)
    environment["WANDB_SILENT"] = "true"  # W&B would print a `wandb sync` command that finds nothing
    # With a slow server, W&B's reports on its own errors would delay the end of the process by 10 s.
    environment["WANDB_ERROR_REPORTING"] = "false"


def end_service(failed: bool) -> None:
    """End W&B's own process. At exit W&B would wait for it, and for ever if it hangs.

    Args:
        failed: the process may hang, and is killed at once.
    """
    if failed:
        _kill_service()
    wandb = sys.modules.get("wandb")
    if wandb is not None and hasattr(wandb, "teardown"):
        with suppress(CallFailed):
            within(END_SECONDS, wandb.teardown)
    _kill_service()


def _kill_service() -> None:
    """Kill the process and its children, which would notice its end only after a while."""
    for process in psutil.Process().children():
        with suppress(psutil.Error):
            if process.name() == SERVICE:
                family = [process, *process.children(recursive=True)]
                for member in family:
                    with suppress(psutil.NoSuchProcess):
                        member.kill()
                psutil.wait_procs(family, END_SECONDS)
