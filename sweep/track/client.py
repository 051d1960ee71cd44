"""Open W&B's client for one run. Every exception and every hanging call of the client is raised as CallFailed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sweep.run.bounded import CallFailed, Value, within
from sweep.run.wandb_places import Place
from sweep.run.wandb_process import settle
from sweep.track.described import Described
from sweep.track.rows import told
from sweep.track.samples import COLUMNS

SAMPLES = "samples"  # the key of the table of sampled answers
# The client's own messages do not name these two causes.
UNREACHED = "see first that the W&B server is reached (tracking.base_url) and does not limit requests"
# W&B's settings for records of the machine and of the working directory.
OF_THE_MACHINE = ("x_disable_stats", "x_disable_meta", "x_disable_machine_info", "disable_git", "disable_code")
Told = tuple[dict[str, Any], list[list]]  # a row, and the answers that go with it, of which there may be none
BEYOND = 5.0  # seconds after W&B's own time-out when we stop waiting for a call that ignores it


@dataclass(frozen=True)
class Patience:
    """The time limits of W&B's calls in seconds: opening a run, sending rows or reading, and finishing."""

    open: float
    call: float
    finish: float


class Session:
    """A W&B run that is open for writing."""

    def __init__(self, started: Any, patience: Patience) -> None:
        """`started` is what W&B's `init` returned."""
        self._started, self._patience = started, patience

    @property
    def url(self) -> str:
        """The address of the run's page; "" if there is none."""
        return self._started.url or ""

    @property
    def taken_to(self) -> int:
        """The last step in the server's history or summary. W&B refuses rows of this step and of earlier ones."""
        return self._started.starting_step - 1

    @property
    def resumed(self) -> bool:
        """True if the server had the run before this session."""
        return self._started.resumed

    @property
    def path(self) -> str:
        """ENTITY/PROJECT, as the server names them."""
        return f"{self._started.entity}/{self._started.project}"

    def log(self, rows: Sequence[Told]) -> None:
        """Send rows, each under its own step, together with tables of sampled answers.

        Many rows in one call take half the time, because every call starts a thread that waits for W&B's own.

        Raises:
            CallFailed: W&B raised an error or took too long.
        """
        within(self._patience.call, partial(self._log, rows))

    def _log(self, rows: Sequence[Told]) -> None:
        import wandb

        for row, answers in rows:
            table = {SAMPLES: wandb.Table(list(COLUMNS), answers, allow_mixed_types=True)} if answers else {}
            self._started.log(told(row) | table, step=row["step"], commit=True)

    def finish(self, summary: Mapping[str, Any], exit_code: int) -> None:
        """Close the run once the server has everything. The run is shown as failed if `exit_code` is not 0.

        Raises:
            CallFailed: W&B raised an error or took too long.
        """

        def end() -> None:
            self._started.summary.update(dict(summary))
            self._started.finish(exit_code=exit_code)

        within(self._patience.finish + BEYOND, end)


@dataclass(frozen=True)
class Manner:
    """Options for opening a run.

    folder: a directory for W&B's own files. trains: True if this process trains the run, so that W&B may measure the
    machine. ends: True if closing the session also ends the run; False if its training goes on elsewhere.
    """

    folder: Path
    patience: Patience
    trains: bool = False
    ends: bool = True


def open_session(identifier: str, said: Described, place: Place, manner: Manner) -> Session:
    """Open a run, whether or not the server already has it.

    Raises:
        CallFailed: W&B raised an error or took too long.
    """
    started = bounded(manner.patience.open, partial(_start, identifier, said, place, manner))
    return Session(started, manner.patience)


def bounded(seconds: float, call: Callable[[], Value]) -> Value:
    """Call `within` with some extra time, so that W&B's own time-out after `seconds` comes first."""
    return within(seconds + BEYOND, call)


def _start(identifier: str, said: Described, place: Place, manner: Manner) -> Any:
    settle(os.environ)
    import wandb

    patience = manner.patience
    _write_media_into(manner.folder)
    settings = {
        "silent": True,
        "console": "off",
        "init_timeout": patience.open,
        "finish_timeout": patience.finish,
        "finish_timeout_raises": True,
        "x_service_wait": patience.open,
        "x_skip_transaction_log": True,  # metrics.jsonl has every row already
        "x_save_requirements": False,
        "x_update_finish_state": manner.ends,
        **dict.fromkeys(OF_THE_MACHINE, not manner.trains),
    }
    if place.base_url is not None:
        settings["base_url"] = place.base_url
    started = wandb.init(
        mode="online",
        id=identifier,
        resume="allow",
        project=place.project,
        entity=place.entity,
        name=said.name,
        group=said.group,
        job_type=said.job_type,
        config=said.config,
        dir=str(manner.folder),
        settings=settings,
    )
    started.tags = tuple(dict.fromkeys((*(started.tags or ()), *said.tags)))  # keep tags that users added
    started.define_metric("step")
    started.define_metric("*", step_metric="step")
    return started


def _write_media_into(folder: Path) -> None:
    """Make W&B's client prepare tables in a directory of this session.

    The client creates one directory when it is imported. Jobs of the local cluster are forked from a process that has
    imported it, so the first job to end would delete the directory of all. Tables would also stay in the user's home
    for ever.
    """
    from wandb.sdk.data_types._private import MEDIA_TMP

    MEDIA_TMP.cleanup()
    MEDIA_TMP.name = os.environ["WANDB_DATA_DIR"] = tempfile.mkdtemp(dir=folder)


def remedy(failure: CallFailed) -> str:
    """Return what to do about a failure before sending the rows again."""
    cause = failure.__cause__
    if failure.remedy:
        return failure.remedy
    if isinstance(cause, ImportError):
        return "`pip install wandb` first"
    if isinstance(cause, OSError) and cause.filename is not None:
        return f"look at {cause.filename} first: W&B writes there"
    if "did not respond in time" in str(failure):  # W&B reports this as a wrong key
        return UNREACHED
    refused = any(f"{word} {status}" in str(failure) for word in ("error", "status") for status in (401, 403))
    if refused or type(cause).__name__ in ("AuthenticationError", "UsageError"):
        return "`wandb login` first"
    return UNREACHED
