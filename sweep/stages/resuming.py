"""Resume training from the newest whole checkpoint, and write checkpoints while it runs."""

from __future__ import annotations

import logging
import time

from sweep.config.cell import CellConfig
from sweep.grpo.checkpoint import newest_whole, save_checkpoint
from sweep.grpo.learner import Learner
from sweep.job.phases import Phases
from sweep.run.directory import RunDirectory

log = logging.getLogger("sweep")


class Checkpoints:
    """The checkpoints of a run, as this attempt uses them.

    resumed_from: the checkpoint that the attempt began with; None if it began at step 0.
    first_step: the step after which that checkpoint was written; 0 without one.
    save_seconds: how long the slowest checkpoint of the run took so far.
    """

    def __init__(self, run: RunDirectory, config: CellConfig, learner: Learner) -> None:
        """Load the newest whole checkpoint into `learner`, if there is any.

        Raises:
            NoWholeCheckpoint, OtherWorldSize: training cannot go on from the checkpoints that are there.
        """
        self._run, self._config, self._learner = run, config, learner
        self.resumed_from = newest_whole(run.checkpoints)
        self.first_step = 0
        if self.resumed_from is not None:
            self.first_step = learner.load(self.resumed_from)
            log.info("resumed after step %d", self.first_step)
        self.save_seconds = run.read_state().save_seconds or 0.0

    def save(self, step: int, phases: Phases) -> None:
        """Write the checkpoint of `step`; every process takes part.

        Raises:
            NotFinite: a weight or a moment of the optimiser is not finite; nothing was written.
        """
        began = time.monotonic()
        with phases.at("checkpoint"):
            save_checkpoint(self._learner, self._run.checkpoints, step, self._config.checkpoint.keep)
        self.save_seconds = max(self.save_seconds, time.monotonic() - began)
