"""Compute the metrics of a training step. docs/metrics.md defines each of them under the same name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from models.architecture import architecture_from
from sweep.config.cell import CellConfig
from sweep.config.devices import peak_tflops
from sweep.config.flops import update_flops
from sweep.grpo.deal import WithAdvantage
from sweep.rollout.sample import Finish, Sampled
from sweep.run.directory import RunDirectory
from sweep.run.identity import signature
from sweep.score.evaluation import Evaluation
from sweep.stages.behaviours import behaviour_metrics
from sweep.stages.collecting import Rollout
from sweep.stages.grading import graded_metrics


def one_row(*parts: Mapping) -> dict:
    """Return all numbers of `parts` in one row, in order.

    Raises:
        ValueError: two parts have a number of the same name, one of which would be lost.
    """
    twice = [name for name, count in Counter(name for part in parts for name in part).items() if count > 1]
    if twice:
        raise ValueError(f"a row of metrics has {', '.join(sorted(twice))} from two sources; give one another name")
    return {name: value for part in parts for name, value in part.items()}


@dataclass(frozen=True)
class StepDone:
    """A training step: its rollout, the same responses with advantages, and what the updates on them measured.

    advantage_metrics: see `Updater.with_advantages`.
    updates: see `Learner.update`.
    """

    rollout: Rollout
    with_advantages: Sequence[Sequence[WithAdvantage]]
    advantage_metrics: dict[str, float]
    updates: dict[str, float]


def step_metrics(done: StepDone, config: CellConfig, model_config: dict, seconds: Mapping[str, float]) -> dict:
    """Return all metrics of a step, except those of its evaluation and the seconds and memory of its phases.

    Args:
        model_config: the model's own configuration, named as in the hub's config.json.
        seconds: what the phases "step" and "update" took.
    """
    sampled = done.rollout.responses
    trained = [response.sampled for group in done.with_advantages for response in group if response.counted]
    return one_row(
        graded_metrics(done.rollout.groups, config.grading.extraction),
        behaviour_metrics(done.rollout.groups, config.behaviours),
        response_metrics(sampled),
        done.rollout.sampling_metrics(),
        done.advantage_metrics,
        {"train/tokens": sum(len(response.ids) for response in trained)},
        {f"train/{name}": value for name, value in done.updates.items()},
        speed_metrics(model_config, config, trained, done.updates["updates"], seconds["update"]),
        {"perf/tokens_per_second": sum(len(response.ids) for response in sampled) / seconds["step"]},
    )


def evaluation_metrics(found: Mapping[str, Evaluation], identities: Mapping[str, dict]) -> dict:
    """Return the metrics of the evaluations of a step, by the names of their benchmarks.

    Those of the first benchmark of all are `eval/NUMBER`. With several there is `eval/BENCHMARK/NUMBER`, too.

    Args:
        identities: the identity of the evaluation by each benchmark of the cell, also of those that this step has not;
            its signature, `evaluation`, tells how the numbers came about.
    """
    first, row = next(iter(identities)), {}
    if first in found:
        row = {f"eval/{name}": value for name, value in found[first].numbers.items()}
        row["evaluation"] = signature(identities[first])
    if len(identities) > 1:
        for benchmark, evaluation in found.items():
            row |= {f"eval/{benchmark}/{name}": value for name, value in evaluation.numbers.items()}
            row[f"evaluation/{benchmark}"] = signature(identities[benchmark])
    return row


def evaluation_result(run: RunDirectory, found: Mapping[str, Evaluation]) -> dict:
    """Return what result.json says of an evaluation: the first benchmark's numbers, and all of them by benchmark."""
    by_benchmark = {
        name: {"evaluation": signature(identity), **found[name].numbers} for name, identity in run.evaluations.items()
    }
    return {**next(iter(by_benchmark.values())), "benchmarks": by_benchmark}


def reward_metrics(rewards_pg: torch.Tensor, equal_p: torch.Tensor, advantages_pg: torch.Tensor) -> dict[str, float]:
    """Return the spread of a rollout's training rewards and of its advantages.

    Args:
        rewards_pg, advantages_pg: of each response; p prompts, g responses of a group.
        equal_p: whether all training rewards of a group are equal.
    """
    return {
        "reward/mean": float(rewards_pg.mean()),
        "reward/std": float(rewards_pg.std()),
        "reward/zero_variance_share": float(equal_p.float().mean()),
        "advantage/mean": float(advantages_pg.mean()),
        "advantage/std": float(advantages_pg.std()),
        "advantage/min": float(advantages_pg.min()),
        "advantage/max": float(advantages_pg.max()),
        "advantage/abs_mean": float(advantages_pg.abs().mean()),
    }


def response_metrics(responses: Sequence[Sampled]) -> dict[str, float | None]:
    """Return the lengths of responses in tokens, and why they ended; at least one response is given."""
    lengths = [len(r.ids) for r in responses]
    row = {"response/tokens_mean": sum(lengths) / len(lengths), "response/tokens_max": max(lengths)}
    for finish in Finish:
        ended = [len(r.ids) for r in responses if r.finish is finish]
        row[f"response/finish_{finish.value}"] = len(ended) / len(responses)
        row[f"response/tokens_{finish.value}"] = sum(ended) / len(ended) if ended else None
    return row


def speed_metrics(
    model_config: dict, config: CellConfig, trained: Sequence[Sampled], updates: int, update_seconds: float
) -> dict[str, float | None]:
    """Return how well the updates used the hardware; None if the model's shape or the device's peak is unknown.

    `perf/update_tflops` is the model TFLOP/s of each process during the updates, `perf/mfu` its fraction of the peak.

    Args:
        trained: the responses that were trained on.
        updates: optimiser steps.
        update_seconds: the time that all of them took together.
    """
    shape = architecture_from(model_config)
    if shape is None:
        return {"perf/update_tflops": None, "perf/mfu": None}
    lengths = [(len(r.prompt_ids), len(r.ids)) for r in trained]
    flops = update_flops(shape, lengths, config.algorithm, updates, adapters=config.tuning.method == "lora")
    reached = flops / update_seconds / config.processes / 1e12
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    peak = config.resources.peak_tflops or peak_tflops(name, config.model.dtype)
    return {"perf/update_tflops": reached, "perf/mfu": reached / peak if peak else None}


def step_line(row: dict, steps: int) -> str:
    """Return the line of the log about a step; `row` is its row of metrics, `steps` the number of steps to train."""
    entropy = f"{row['train/entropy']:.3f}" if "train/entropy" in row else "-"  # nothing was trained on
    return (
        f"step {row['step']}/{steps} reward {row['reward/mean']:.3f} correct {row['reward/true_mean']:.3f} "
        f"code {row['behaviour/code']:.3f} entropy {entropy} {row['timing_s/step']:.2f} s"
    )
