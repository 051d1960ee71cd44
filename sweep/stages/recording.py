"""The third part of a training step: record what it did. Rank 0 writes; on other ranks every method does nothing."""

from __future__ import annotations

import functools
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict

import torch.distributed as dist

from sweep.config.cell import CellConfig
from sweep.evaluate.answering import Spent
from sweep.job.starting import Starting
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.responses import ResponseParts
from sweep.run.state import State
from sweep.score.evaluation import Evaluation
from sweep.stages.grading import Graded
from sweep.stages.groups import Group
from sweep.stages.metrics import StepDone, evaluation_result, step_line
from sweep.stages.responses import response_rows
from sweep.stages.samples import sample_rows
from sweep.stages.spending import seconds_of_steps
from sweep.track.metrics import RowLog
from sweep.track.mirror import open_mirror

log = logging.getLogger("sweep")


def on_rank_0(method: Callable[..., None]) -> Callable[..., None]:
    """Make a method do nothing on other processes than rank 0."""

    @functools.wraps(method)
    def called(self: Recorder, *arguments) -> None:
        """Call the method on rank 0."""
        if dist.get_rank() == 0:
            method(self, *arguments)

    return called


class Recorder:
    """The files of a run that grow while it is trained, and the mirror that follows them."""

    def __init__(self, run: RunDirectory, config: CellConfig, step: int) -> None:
        """Open the files. Rows of steps after `step`, the step training goes on from, are removed from them."""
        self.run, self.config = run, config
        self._spent = Counter()  # since the state was written last
        self._open(step)

    @on_rank_0
    def _open(self, step: int) -> None:
        self._spent["repeated"] = seconds_of_steps(self.run.read_metrics(), after=step)
        self._metrics = RowLog(self.run.metrics, step)
        self._samples = RowLog(self.run.samples, step)
        self._responses = ResponseParts(self.run.responses, step, self.config.checkpoint.every)
        self._mirror = open_mirror(self.run, self.config)  # it reads both files

    @on_rank_0
    def started(self, starting: Starting) -> None:
        """Log where the seconds until the end of the first step went; once in an attempt."""
        if not starting.ended:
            log.info(starting.end())
            self.run.add_provenance(start=starting.parts)

    @on_rank_0
    def samples(self, step: int, groups: Sequence[Group[Graded]]) -> None:
        """Write the responses of a step that are kept."""
        for row in sample_rows(self.config, step, groups):
            self._samples.write(row)

    @on_rank_0
    def responses(self, step: int, done: StepDone) -> None:
        """Keep a row of every response of a step; `saving` and `close` write the rows that are kept so far."""
        self._responses.add(response_rows(self.config, step, done))

    @on_rank_0
    def saving(self) -> None:
        """Write the responses up to here. Called before a checkpoint is written: what resumes from it has them."""
        self._responses.flush()

    @on_rank_0
    def evaluated(self, spent: Spent) -> None:
        """Count the tokens of an evaluation; the state has them from the next row or from the end on."""
        self._spent.update(asdict(spent))

    @on_rank_0
    def row(self, row: dict) -> None:
        """Write the row of a step, and what `status` shows of it."""
        self._metrics.write(row)
        if self._mirror:
            self._mirror.row_written()
        self._spent += Counter(
            generated=row["rollout/tokens"], prompts=row["rollout/prompt_tokens"], trained=row["train/tokens"]
        )
        accuracy = {"accuracy": row["eval/accuracy"]} if "eval/accuracy" in row else {}
        self._write_state(
            step=row["step"],
            steps=self.config.steps,
            reward=row["reward/mean"],
            seconds_per_step=row["timing_s/step"],
            tokens_per_second=row["perf/tokens_per_second"],
            **accuracy,
        )
        log.info(step_line(row, self.config.steps))

    def _write_state(self, **fields) -> None:
        spent, self._spent = self._spent, Counter()
        self.run.write_state(add=spent, **fields)

    @on_rank_0
    def saved(self, seconds: float) -> None:
        """Write down how long the slowest checkpoint took so far."""
        self.run.write_state(save_seconds=seconds)

    @on_rank_0
    def exporting(self) -> None:
        """Bring the account up to date, and remove the final weights of an earlier end, which new ones will replace."""
        self._write_state()
        shutil.rmtree(self.run.final, ignore_errors=True)

    @on_rank_0
    def result(self, step: int, found: Mapping[str, Evaluation]) -> None:
        """Write the result, whose presence means that the final weights are there; then checkpoints may go."""
        write_json(self.run.result, {"step": step, **evaluation_result(self.run, found)})
        if not self.config.checkpoint.resumable:
            shutil.rmtree(self.run.checkpoints)

    @on_rank_0
    def close(self, state: State) -> None:
        """Flush and close all files. A mirror that cannot finish in time logs that, and is not waited for any longer.

        Args:
            state: how the attempt ended.
        """
        with ExitStack() as closing:  # closes the others even if one raises, as files do on a full disk
            if self._mirror:
                closing.callback(self._mirror.close, state)
            closing.callback(self._responses.flush)
            closing.callback(self._samples.close)
            closing.callback(self._metrics.close)
