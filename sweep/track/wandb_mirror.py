"""Mirror metrics rows to Weights & Biases. A run is complete without it; nothing here may end a run."""

from __future__ import annotations

import logging
import math

from sweep.run.config import CellConfig
from sweep.run.directory import RunDirectory
from sweep.run.names import short_name

LONGEST_NAME, LONGEST_TAG = 128, 64  # characters that W&B takes
log = logging.getLogger("sweep.track")


class WandbMirror:
    """The W&B run of a cell: its id is the signature, so that a resumed run goes on in the same one."""

    def __init__(self, run: RunDirectory, config: CellConfig, online: bool) -> None:
        import wandb

        signature = run.signature

        settings = {"silent": True, "console": "off", "init_timeout": 30.0, "finish_timeout": 30.0}
        arguments = {
            "project": config.tracking.project,
            "entity": config.tracking.entity,
            "id": signature,
            "name": short_name(run.name, LONGEST_NAME),
            "group": config.name and short_name(config.name, LONGEST_NAME),
            "tags": [
                short_name(config.model.name, LONGEST_TAG),
                short_name(config.reward.title, LONGEST_TAG),
                f"seed={config.seed}",
                *config.tracking.tags,
            ],
            "config": config.model_dump(mode="json"),
            "dir": str(run.path),
            "resume": "allow",
        }
        try:
            self._run = wandb.init(mode="online" if online else "offline", settings=settings, **arguments)
        except (wandb.errors.CommError, wandb.errors.AuthenticationError, wandb.errors.UsageError) as error:
            log.warning("W&B cannot be reached (%s); this run is tracked offline", error)
            wandb.teardown()
            self._run = wandb.init(mode="offline", settings=settings, **arguments)
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def log(self, row: dict) -> None:
        """Send a row; numbers that are not finite are left out, since one NaN spoils W&B's summaries."""
        if self._run is None:
            return
        try:
            self._run.log({k: v for k, v in row.items() if isinstance(v, str) or (v is not None and math.isfinite(v))})
        except ConnectionError as error:
            self._give_up(error)

    def finish(self, exit_code: int) -> None:
        """Close the W&B run; it shows as failed where the code is not 0."""
        if self._run is None:
            return
        try:
            self._run.finish(exit_code=exit_code)
        except ConnectionError as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Go on without W&B's own process: Slurm sends the signals that ask a job to stop to every process of it."""
        log.warning("W&B's process has ended (%s); metrics.jsonl has every row", error)
        self._run = None


def open_mirror(run: RunDirectory, config: CellConfig) -> WandbMirror | None:
    """The mirror that `tracking.mode` asks for; None when disabled."""
    if config.tracking.mode == "disabled":
        return None
    return WandbMirror(run, config, online=config.tracking.mode == "online")
