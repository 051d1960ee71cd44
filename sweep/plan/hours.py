"""Predict how long tasks take, before they are launched. Pure arithmetic, no torch.

Lengths are means by assumption (`resources.speed`), and the longest response of a rollout is taken to reach the limit.
Left out are grading, what processes wait for one another, and rounds of resampling.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from models.architecture import read_architecture
from models.config import Architecture, LoraTuning
from sweep.config.cell import CellConfig, SlurmCluster
from sweep.config.flops import update_passes
from sweep.data.problems import load_split
from sweep.plan.evaluation_share import Asked, asked_in
from sweep.plan.pace import Rates, Sampling, Timed, Updating, sampling, updating
from sweep.plan.resources import DTYPE_BYTES, OPTIMIZER_BYTES, trained_parameters

OPTIMIZER_TRAFFIC = 120  # bytes a weight that AdamW moves, gradient norm and copies included
OFFLOADED_TRAFFIC, HOST_BANDWIDTH = 32, 30e9  # bytes a weight, and bytes/s of a process, where the host steps
UPDATE_SECONDS = 0.03  # of an optimiser step, however small the model is
HASHED = 1e9  # bytes/s: the weights are hashed before an evaluation
NOTHING = Timed()


@dataclass(frozen=True)
class Step:
    """The seconds of one training step.

    update: the forward and backward passes. links: what processes send one another. rest: what only a measurement
    knows.
    """

    sampling: Timed
    update: Timed
    optimizer: float = 0.0
    links: float = 0.0
    rest: float = 0.0

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.sampling.seconds + self.update.seconds + self.optimizer + self.links + self.rest


@dataclass(frozen=True)
class Forecast:
    """The predicted seconds of a task.

    step, steps: of a training; a stage has none. evaluations: all of them together. labels: of the problems that vote.
    saves: checkpoints and weights on their way to the disk. unknown: what could not be predicted, in words.
    """

    start: float
    step: Step | None = None
    steps: int = 0
    evaluations: Timed = NOTHING
    labels: Timed = NOTHING
    saves: float = 0.0
    unknown: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """From the start of the job to its end, in one job."""
        return sum(part.seconds for part in self.parts().values())

    def parts(self) -> dict[str, Timed]:
        """Return the time of each part, all steps together, by its name."""
        found = {"start": Timed(self.start), "evaluation": self.evaluations, "labels": self.labels}
        if self.step:
            found |= {
                "sampling": self.step.sampling * self.steps,
                "update": self.step.update * self.steps,
                "optimizer": Timed(self.step.optimizer * self.steps),
                "links": Timed(self.step.links * self.steps),
                "rest": Timed(self.step.rest * self.steps),
            }
        return found | {"checkpoints": Timed(self.saves)}


def predict_training(config: CellConfig, rates: Rates) -> Forecast | None:
    """Return the forecast of a cell's training; None if the model's shape is not known yet."""
    shape, trained = read_architecture(config.model), trained_parameters(config)
    if shape is None or trained is None:
        return None
    evaluations, unknown = _evaluations(config, shape, rates, asked_in(config))
    every = config.checkpoint.weights_every
    kept = trained * _width(config) * (1 + ((config.steps - 1) // every if every else 0))
    saves = -(-config.steps // config.checkpoint.every) * save_seconds(config, rates) + kept / rates.disk
    step = predict_step(config, shape, rates)
    return Forecast(_start(config, shape, rates), step, config.steps, evaluations, saves=saves, unknown=unknown)


def predict_evaluation(config: CellConfig, rates: Rates) -> Forecast | None:
    """Return the forecast of a stage that puts some weights to every benchmark once; see `predict_training`."""
    shape = read_architecture(config.model)
    if shape is None:
        return None
    once = [replace(asked, times=1) for asked in asked_in(config)]
    evaluations, unknown = _evaluations(config, shape, rates, once)
    return Forecast(_start(config, shape, rates), evaluations=evaluations, unknown=unknown)


def predict_labels(config: CellConfig, rates: Rates) -> Forecast | None:
    """Return the forecast of one of the jobs that label the training problems; see `predict_training`."""
    shape, asked = read_architecture(config.model), config.labels
    if shape is None:
        return None
    start = _start(config, shape, rates)
    if config.data.source == "hub":
        return Forecast(start, unknown=("how many problems the hub has for the labels",))
    problems = len(load_split(config.data, "train").problems) / asked.jobs
    chunks = math.ceil(problems / asked.chunk)
    limit = config.rollout.max_response_tokens
    chunk = _sampled(config, shape, problems / chunks if chunks else 0, asked.samples, limit)
    return Forecast(start, labels=sampling(shape, _width(config), chunk, rates) * chunks)


def predict_step(config: CellConfig, shape: Architecture, rates: Rates) -> Step:
    """Return the seconds of a training step of a model of `shape`."""
    algorithm, adapted = config.algorithm, isinstance(config.tuning, LoraTuning)
    limit = config.rollout.max_response_tokens
    rollout = _sampled(config, shape, algorithm.prompts_per_step, algorithm.samples_per_prompt, limit)
    passes = update_passes(algorithm, algorithm.updates_per_rollout, adapted)
    asked = Updating(
        responses=algorithm.responses_per_step / config.processes,
        prompt_tokens=_prompt_tokens(config),
        response_tokens=_response_tokens(config, limit),
        updates=algorithm.updates_per_rollout,
        micro_tokens=config.deepspeed.micro_batch_tokens,
        passes=passes + config.deepspeed.gradient_checkpointing,
    )
    return Step(
        sampling(shape, _width(config), rollout, rates, adapted),
        updating(shape, asked, rates, adapted),
        algorithm.updates_per_rollout * _optimizer_seconds(config, rates),
        _link_seconds(config, shape, asked, rates),
    )


def save_seconds(config: CellConfig, rates: Rates) -> float:
    """Return the seconds of a checkpoint; 0 if the model's shape is not known."""
    return (trained_parameters(config) or 0) * (_width(config) + OPTIMIZER_BYTES) / rates.disk


def evaluation_seconds(config: CellConfig, step: int, rates: Rates) -> float:
    """Return the seconds of the evaluation after `step`: of the benchmarks that are due, of all after the last step."""
    shape = read_architecture(config.model)
    due = [one for one in asked_in(config) if step == config.steps or step % one.benchmark.every == 0]
    return _evaluations(config, shape, rates, [replace(one, times=1) for one in due])[0].seconds if shape else 0.0


def jobs_needed(seconds: float, step: float, start: float, hours: float, grace: float) -> int | None:
    """Return how many jobs of `hours` a run takes one after the other; None if it gets nowhere in any of them.

    A job that is told to stop ends its step and writes a checkpoint, so that no step is lost.

    Args:
        seconds: of the whole run in one job. step: of a step, 0 for a stage. start: of each job before its first step.
        grace: seconds before its time limit at which a job is told.
    """
    if seconds <= hours * 3600:
        return 1
    usable = hours * 3600 - grace - start
    return None if usable <= step or usable <= 0 else math.ceil((seconds - start) / usable)


def grace(config: CellConfig) -> float:
    """Return the seconds before its time limit at which a job of the cell is told to stop."""
    return config.cluster.signal_seconds if isinstance(config.cluster, SlurmCluster) else 0.0


def _evaluations(
    config: CellConfig, shape: Architecture, rates: Rates, asked: Iterable[Asked]
) -> tuple[Timed, tuple[str, ...]]:
    total, unknown = NOTHING, []
    hashed = shape.parameters * _width(config) / HASHED
    for one in asked:
        if one.problems is None:
            unknown.append(f"how many problems {one.name} has")
            continue
        limit = one.benchmark.max_response_tokens or config.rollout.max_response_tokens
        answers = _sampled(config, shape, one.problems, one.benchmark.samples_per_problem, limit)
        adapted = isinstance(config.tuning, LoraTuning)
        timed = sampling(shape, _width(config), answers, rates, adapted)
        total = total + Timed(timed.seconds + hashed, timed.bound) * one.times
    return total, tuple(unknown)


def _sampled(config: CellConfig, shape: Architecture, prompts: float, samples: int, limit: int) -> Sampling:
    """Return what one process samples of `prompts`, `samples` responses to each, of at most `limit` tokens."""
    prompts = prompts / config.processes
    return Sampling(
        requests=prompts * samples,
        prompts=prompts,
        prompt_tokens=_prompt_tokens(config),
        response_tokens=_response_tokens(config, limit),
        longest=limit,
        rows=config.rollout.rows(shape, _width(config), limit),
    )


def _prompt_tokens(config: CellConfig) -> float:
    return config.resources.speed.mean_prompt_share * config.rollout.max_prompt_tokens


def _response_tokens(config: CellConfig, limit: int) -> float:
    return config.resources.speed.mean_response_share * limit


def _width(config: CellConfig) -> int:
    return DTYPE_BYTES[config.model.dtype]


def _start(config: CellConfig, shape: Architecture, rates: Rates) -> float:
    return rates.start + shape.parameters * _width(config) / rates.disk


def _optimizer_seconds(config: CellConfig, rates: Rates) -> float:
    """Return the seconds of one optimiser step, which is shared out over the processes."""
    share = (trained_parameters(config) or 0) / config.processes
    if rates.kind and config.deepspeed.offload_optimizer:
        return UPDATE_SECONDS + share * OFFLOADED_TRAFFIC / HOST_BANDWIDTH
    return UPDATE_SECONDS + share * OPTIMIZER_TRAFFIC / rates.bandwidth


def _link_seconds(config: CellConfig, shape: Architecture, asked: Updating, rates: Rates) -> float:
    """Return the seconds in which processes send gradients and weights, and in stage 3 gather weights for each pass."""
    world, width = config.processes, _width(config)
    sent = 2 * asked.updates * (trained_parameters(config) or 0)
    if config.deepspeed.zero_stage == 3:
        sent += asked.micro_batches * 2 * shape.parameters
    return sent * width * (world - 1) / world / rates.link
