"""W&B's client, opened for one run. Whatever it raises, and however long it hangs, comes out as CallFailed."""

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
# Its client answers to neither in words of its own.
UNREACHED = "see first that the W&B server is reached (tracking.base_url) and does not limit requests"
# What W&B notes of the machine and the directory that it runs in.
OF_THE_MACHINE = ("x_disable_stats", "x_disable_meta", "x_disable_machine_info", "disable_git", "disable_code")
Told = tuple[dict[str, Any], list[list]]  # a row, and the answers that go with it, of which there may be none
BEYOND = 5.0  # seconds after W&B's own time-out at which a call that ignores it is given up


@dataclass(frozen=True)
class Patience:
    """Seconds after which a call of W&B's is given up: opening a run, handing over rows or asking, and the end."""

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
        return self._started.url or ""

    @property
    def taken_to(self) -> int:
        """The step up to which W&B takes no rows any more: the last of the server's history or of its summary."""
        return self._started.starting_step - 1

    @property
    def resumed(self) -> bool:
        """Whether the server had the run already."""
        return self._started.resumed

    @property
    def path(self) -> str:
        """ENTITY/PROJECT, as the server knows them."""
        return f"{self._started.entity}/{self._started.project}"

    def log(self, rows: Sequence[Told]) -> None:
        """Hand over rows, each under its own step, with a table of sampled answers where there are any.

        Many at once take half the time: for each call there is a thread, which W&B's own would keep waiting.
        """
        within(self._patience.call, partial(self._log, rows))

    def _log(self, rows: Sequence[Told]) -> None:
        import wandb

        for row, answers in rows:
            table = {SAMPLES: wandb.Table(list(COLUMNS), answers, allow_mixed_types=True)} if answers else {}
            self._started.log(told(row) | table, step=row["step"], commit=True)

    def finish(self, summary: Mapping[str, Any], exit_code: int) -> None:
        """Close the run once the server has everything; it shows as failed where the code is not 0."""

        def end() -> None:
            self._started.summary.update(dict(summary))
            self._started.finish(exit_code=exit_code)

        within(self._patience.finish + BEYOND, end)


@dataclass(frozen=True)
class Manner:
    """How a run is opened.

    folder: where W&B writes files of its own. trains: whether this process trains the run, so that W&B may measure its
    machine. ends: whether closing the session ends the run, too; False where its training goes on elsewhere.
    """

    folder: Path
    patience: Patience
    trains: bool = False
    ends: bool = True


def open_session(identifier: str, said: Described, place: Place, manner: Manner) -> Session:
    """Open a run, which the server may have already.

    Raises:
        CallFailed: W&B does not take it.
    """
    started = bounded(manner.patience.open, partial(_start, identifier, said, place, manner))
    return Session(started, manner.patience)


def bounded(seconds: float, call: Callable[[], Value]) -> Value:
    """`within`, with time for W&B's own time-out of so many seconds to strike first."""
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
        "x_skip_transaction_log": True,  # metrics.jsonl has it all
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
    started.tags = tuple(dict.fromkeys((*(started.tags or ()), *said.tags)))  # those that somebody added stay
    started.define_metric("step")
    started.define_metric("*", step_metric="step")
    return started


def _write_media_into(folder: Path) -> None:
    """Have W&B's client prepare tables in a directory of this session's own.

    The client makes one when it is imported. Jobs of the local cluster are copies of a process that has done so: the
    first of them to end deletes the directory of all. Its copies of tables would stay in the user's home for ever.
    """
    from wandb.sdk.data_types._private import MEDIA_TMP

    MEDIA_TMP.cleanup()
    MEDIA_TMP.name = os.environ["WANDB_DATA_DIR"] = tempfile.mkdtemp(dir=folder)


def remedy(failure: CallFailed) -> str:
    """What to do about a failure before the rows are sent again."""
    cause = failure.__cause__
    if failure.remedy:
        return failure.remedy
    if isinstance(cause, ImportError):
        return "`pip install wandb` first"
    if isinstance(cause, OSError) and cause.filename is not None:
        return f"look at {cause.filename} first: W&B writes there"
    if "did not respond in time" in str(failure):  # W&B takes that for a wrong key
        return UNREACHED
    refused = any(f"{word} {status}" in str(failure) for word in ("error", "status") for status in (401, 403))
    if refused or type(cause).__name__ in ("AuthenticationError", "UsageError"):
        return "`wandb login` first"
    return UNREACHED
