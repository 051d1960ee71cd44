"""Mirror metrics rows to Weights & Biases. A run is complete without it; nothing here may end a run.

Every call of W&B's is made by `within`: whatever it raises, and however long it hangs, the run goes on untracked and
the log says once what happened. Only W&B's calls are guarded so; a mistake in this file still shows.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any

import psutil

from sweep.run.config import DEFAULT_PROJECT, CellConfig
from sweep.run.directory import RunDirectory
from sweep.run.names import short_name
from sweep.run.wandb_rules import LONGEST_NAME, LONGEST_TAG, OF_ONE_RUN, TAKEN
from sweep.track.bounded import CallFailed, within

# Seconds that W&B's own time-outs leave a call, and after which a call that ignores them is given up.
INIT_SECONDS, FINISH_SECONDS = 10.0, 30.0
HANGS = {"init": INIT_SECONDS + 10, "log": 10.0, "finish": FINISH_SECONDS + 5, "teardown": 5.0}
SERVICE = "wandb-core"  # the process that W&B starts beside this one
log = logging.getLogger("sweep.track")


class WandbMirror:
    """The W&B run of a cell: its id is the signature, so that a resumed run goes on in the same one."""

    def __init__(self, started: Any, run: RunDirectory) -> None:
        """`started` is what W&B's `init` returned."""
        self._started, self._run = started, run

    def log(self, row: dict) -> None:
        """Send a row; numbers that are not finite are left out, since one NaN spoils W&B's summaries."""
        if self._started is None:
            return
        finite = {k: v for k, v in row.items() if v is not None and not (isinstance(v, float) and not math.isfinite(v))}
        self._guarded("log", partial(self._started.log, finite))

    def finish(self, exit_code: int) -> None:
        """Close the W&B run; it shows as failed where the code is not 0."""
        if self._started is None:
            return
        self._guarded("finish", partial(self._started.finish, exit_code=exit_code))
        if self._started is not None:
            _end_service()

    def _guarded(self, name: str, call: Callable[[], object]) -> None:
        try:
            within(HANGS[name], call)
        except CallFailed as failure:
            log.warning(
                "W&B failed in %s (%s); the run goes on without it, and metrics.jsonl has every row; "
                "`wandb sync --include-online %s/wandb/*run-*` uploads the rows that W&B had written to disk",
                name,
                failure,
                self._run.path,
            )
            self._started = None
            _end_service()


def open_mirror(run: RunDirectory, config: CellConfig) -> WandbMirror | None:
    """The mirror that `tracking.mode` asks for: offline where W&B cannot be reached; None where W&B fails or is off."""
    if config.tracking.mode == "disabled":
        return None
    _settle(os.environ, config.tracking.base_url)
    failures: list[CallFailed] = []
    for mode in ("offline",) if config.tracking.mode == "offline" else ("online", "offline"):
        try:
            started = within(HANGS["init"], partial(_start, mode, _arguments(run, config)))
        except CallFailed as failure:
            failures.append(failure)
            _end_service()
            if failure.hangs:  # its thread may hold what a second call would wait for
                break
        else:
            if failures:
                log.warning(
                    "W&B cannot be reached (%s); this run is tracked offline; %s", failures[0], _remedy(failures)
                )
            return WandbMirror(started, run)
    said = "; ".join(dict.fromkeys(map(str, failures)))
    log.warning("W&B does not start (%s); the run goes on without it; %s", said, _remedy(failures))
    return None


def _arguments(run: RunDirectory, config: CellConfig) -> dict[str, Any]:
    """Of W&B's `init`: what is made of other names is cut to what W&B takes, and no tag stands twice."""
    tags = [
        short_name(config.model.name, LONGEST_TAG),
        short_name(config.reward.title, LONGEST_TAG),
        f"seed={config.seed}"[:LONGEST_TAG],
        *config.tracking.tags,
    ]
    return {
        "project": config.tracking.project or DEFAULT_PROJECT,
        "entity": config.tracking.entity,
        "id": run.signature,
        "name": short_name(run.name, LONGEST_NAME),
        "group": config.name and short_name(config.name, LONGEST_NAME),
        "tags": list(dict.fromkeys(tags)),
        "config": config.model_dump(mode="json"),
        "dir": str(run.path),
        "resume": "allow",
    }


def _settle(environment: MutableMapping[str, str], base_url: str | None) -> None:
    """Leave W&B nothing in `environment` that would count beside the frozen configuration."""
    for name in (*TAKEN, *OF_ONE_RUN):
        if name != "WANDB_BASE_URL":
            environment.pop(name, None)
    if base_url is not None:
        environment["WANDB_BASE_URL"] = base_url


def _start(mode: str, arguments: dict[str, Any]) -> Any:
    import wandb

    settings = {
        "silent": True,
        "console": "off",
        "init_timeout": INIT_SECONDS,
        "finish_timeout": FINISH_SECONDS,
        "finish_timeout_raises": True,
        "x_service_wait": INIT_SECONDS,
    }
    started = wandb.init(mode=mode, settings=settings, **arguments)
    started.define_metric("step")
    started.define_metric("*", step_metric="step")
    return started


def _remedy(failures: list[CallFailed]) -> str:
    """What to do about the first of `failures`."""
    cause = failures[0].__cause__
    if isinstance(cause, ImportError):
        return "`pip install wandb` in this environment, or set tracking.mode=disabled"
    if isinstance(cause, OSError) and cause.filename is not None:
        return f"look at {cause.filename}: W&B writes there"
    refused = any(f"error {status}" in str(failures[0]) for status in (401, 403))
    if refused or type(cause).__name__ in ("AuthenticationError", "UsageError"):
        return "`wandb login` where the job runs mends it, and `wandb sync` uploads what is offline"
    return "look whether the job reaches the W&B server (tracking.base_url), or set tracking.mode=offline"


def _end_service() -> None:
    """End W&B's own process, for which W&B would otherwise wait when this one exits, for ever where it hangs."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and hasattr(wandb, "teardown"):
        with suppress(CallFailed):
            within(HANGS["teardown"], wandb.teardown)
    for process in psutil.Process().children():
        with suppress(psutil.Error):
            if process.name() == SERVICE:
                process.kill()
                process.wait(HANGS["teardown"])
