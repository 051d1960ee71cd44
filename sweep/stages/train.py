"""Train one cell. A step collects a rollout, updates the policy with it, and is recorded."""

from __future__ import annotations

import gc
from contextlib import closing
from pathlib import Path

import torch.distributed as dist

from sweep.config.cell import CellConfig
from sweep.grpo.checks import check_diversity
from sweep.grpo.learner import Learner
from sweep.job.attempt import Interrupted, StopRequest, attempt
from sweep.job.phases import Phases
from sweep.job.processes import any_rank, join, leave
from sweep.job.starting import Starting
from sweep.run.directory import RunDirectory
from sweep.run.kept_weights import place_of_weights
from sweep.run.not_finite import NotFinite
from sweep.run.state import State
from sweep.stages.at_hand import StepAtHand
from sweep.stages.collecting import Collector
from sweep.stages.evaluating import Evaluated, IntervalEvaluation
from sweep.stages.given_up import goes_back, reported
from sweep.stages.metrics import StepDone, evaluation_metrics, one_row, step_metrics
from sweep.stages.policy import JobSetup, load_setup
from sweep.stages.problem_sets import prepare_benchmarks, prepare_training_set
from sweep.stages.recording import Recorder
from sweep.stages.resuming import Checkpoints
from sweep.stages.updating import Updater


def main(path: Path, rank: int, world_size: int, local_rank: int, meeting: Path) -> None:
    """Train a cell, on one of its processes."""
    starting = Starting()
    starting.reached("imports")
    with attempt(path, rank, world_size, meeting) as (run, config, stop, phases):
        with stop.ending_at_once(), phases.at("joining"):
            join(rank, world_size, local_rank, meeting)
        starting.reached("processes")
        train(run, config, stop, phases, starting)
        with phases.at("leaving"):
            leave()


def train(run: RunDirectory, config: CellConfig, stop: StopRequest, phases: Phases, starting: Starting) -> None:
    """Train from the newest whole checkpoint to the last step; where that checkpoint is bad, from the one before.

    Raises:
        Interrupted: a stop was requested.
        NotFinite: a number of a step was not finite.
        NoWholeCheckpoint, OtherWorldSize: training cannot go on from the checkpoints that are there.
    """
    with stop.ending_at_once(), phases.at("loading"):
        setup = load_setup(config, run, stop, training=True)
        dist.barrier()
    starting.reached("model")
    if not _train(setup, stop, phases, starting):
        with phases.at("loading"):
            setup = setup.renewed()
        _train(setup, stop, phases, starting)


def _train(setup: JobSetup, stop: StopRequest, phases: Phases, starting: Starting) -> bool:
    """Train to the last step. Returns False if training went back one checkpoint, from which it is to start again."""
    with closing(setup):
        with phases.at("preparing"):
            training = Training(setup, phases, starting)
        try:
            training.run_to_target(stop)
        except NotFinite:
            training.recorder.close(State.FAILED)
            if not goes_back(setup.run, training.checkpoints, training.step):
                raise
            training.learner.close()
        except BaseException as error:
            training.recorder.close(State.INTERRUPTED if isinstance(error, Interrupted) else State.FAILED)
            raise
        else:
            training.recorder.close(State.DONE)
            return True
        del training  # so that its memory is free before the model is loaded again
        gc.collect()
        return False


class Training:
    """The training loop of one attempt, on one process."""

    def __init__(self, setup: JobSetup, phases: Phases, starting: Starting) -> None:
        self.setup, self.phases, self.starting = setup, phases, starting
        run, config = setup.run, setup.config
        training_set, benchmarks = prepare_training_set(setup), prepare_benchmarks(setup)
        starting.reached("problems")
        self.learner = Learner(setup.model, config, setup.reference_model())
        starting.reached("deepspeed")
        self.checkpoints = Checkpoints(run, config, self.learner)
        self.step = self.checkpoints.first_step
        starting.reached("checkpoint")
        self.collector = Collector(setup, training_set, self.learner, phases)
        self.updater = Updater(config, self.learner, phases)
        self.evaluation = IntervalEvaluation(setup, benchmarks, self.learner, phases)
        self.recorder = Recorder(run, config, self.step)
        starting.reached("tracking")
        self.at_hand = StepAtHand(self.step)

    def run_to_target(self, stop: StopRequest) -> None:
        """Train to step `steps`, then write the final weights and the result.

        Raises:
            Interrupted: a stop was requested; a checkpoint of the last step was written if there was time.
            NotFinite: a number of a step was not finite; with the step, and the file that holds its rollout.
        """
        try:
            self._run_to_target(stop)
        except NotFinite as fault:
            raise reported(fault, self.setup.run, self.setup.config, self.at_hand) from fault

    def _run_to_target(self, stop: StopRequest) -> None:
        config, evaluated = self.setup.config, None
        if any_rank(bool(stop)):  # before the first step there is nothing to save
            raise Interrupted
        if 0 < self.step < config.steps and not place_of_weights(self.setup.run, self.step).is_dir():
            self._keep_weights()  # the attempt before ended between the checkpoint and them, or this was its last step
        while self.step < config.steps:
            self.step += 1
            last = self.step == config.steps
            done = self.train_step()
            evaluated = self._evaluate(last)
            self._record(done, evaluated)
            stopping = any_rank(bool(stop))
            too_late = stopping and any_rank(not stop.leaves(self.checkpoints.save_seconds))
            if last or (stopping and not too_late) or self.step % config.checkpoint.every == 0:
                self._save()
            if stopping and not last:
                raise Interrupted
            if not last:
                self._keep_weights()
        # There is no evaluation if this attempt resumed at the last step, because the one before ended right after it.
        self._finish(evaluated or self._evaluate(last=True))

    def train_step(self) -> StepDone:
        """Collect a rollout, give its responses advantages, and update the policy."""
        step = self.step
        self.at_hand = StepAtHand(step)
        with self.phases("step"):
            rollout = self.collector.collect(step)
            self.at_hand = StepAtHand(step, rollout.groups)
            self.starting.reached("first rollout")
            self.recorder.samples(step, rollout.groups)  # before a check of them can stop the run
            if self._is_checked:
                check_diversity([[graded.sampled for graded in group.responses] for group in rollout.groups])
            with_advantages, advantage_metrics = self.updater.with_advantages(rollout.groups, step)
            self.at_hand = StepAtHand(step, rollout.groups, with_advantages)
            updates = self.updater.update(with_advantages, step)
        self.updater.compare_samplers(updates.get("sampler_difference"), step, self._is_checked)
        self.starting.reached("first update")
        self.recorder.started(self.starting)
        return StepDone(rollout, with_advantages, advantage_metrics, updates)

    @property
    def _is_checked(self) -> bool:
        """True if the rollout of this step is checked: in the first step of an attempt, and every `checks.every`."""
        every = self.setup.config.checks.every
        first = self.step == self.checkpoints.first_step + 1
        return first or (every is not None and self.step % every == 0)

    def _evaluate(self, last: bool) -> Evaluated | None:
        """Put the policy to the benchmarks that are due after this step; return None if none is."""
        due = self.evaluation.due(self.step, last)
        if not due:
            return None
        found = self.evaluation.evaluate(self.step, due)
        self.recorder.evaluated(found.spent)
        return found

    def _record(self, done: StepDone, evaluated: Evaluated | None) -> None:
        """Write the row of the step."""
        measured = self.phases.take()
        row = one_row(
            {"step": self.step},
            step_metrics(done, self.setup.config, self.learner.model_config, measured.seconds),
            evaluation_metrics(evaluated.by_benchmark, self.evaluation.identities) if evaluated else {},
            measured.metrics(),
        )
        self.recorder.row(row)
        self.recorder.responses(self.step, done)

    def _save(self) -> None:
        self.recorder.saving()
        self.checkpoints.save(self.step, self.phases)
        self.recorder.saved(self.checkpoints.save_seconds)

    def _keep_weights(self) -> None:
        """Keep the weights of this step for later evaluations, if its weights are to be kept."""
        every = self.setup.config.checkpoint.weights_every
        if every is None or self.step % every:
            return
        place = place_of_weights(self.setup.run, self.step)
        with self.phases.at("export"):
            self.learner.export(place, self.setup.tokenizer, self.setup.stop)

    def _finish(self, evaluated: Evaluated) -> None:
        """Write the final weights, then the result, whose presence means that all is there."""
        self.recorder.exporting()
        dist.barrier()
        with self.phases.at("export"):
            self.learner.export(self.setup.run.final, self.setup.tokenizer, self.setup.stop)
        self.recorder.result(self.step, evaluated.by_benchmark)
