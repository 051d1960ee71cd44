"""The numbers of a training step, named as docs/metrics.md defines them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from models.architecture import architecture_from
from sweep.config.cell import CellConfig
from sweep.grpo.flops import peak_tflops, update_flops
from sweep.grpo.learner import Learner
from sweep.rollout.sample import Finish, Sampled


def reward_metrics(rewards_pg: torch.Tensor, equal_p: torch.Tensor, advantages_pg: torch.Tensor) -> dict[str, float]:
    """Of a rollout's training rewards and advantages (prompts, group); `equal_p`: groups of equal rewards."""
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
    """Lengths in tokens, and why responses ended."""
    lengths = [len(r.ids) for r in responses]
    row = {"response/tokens_mean": sum(lengths) / len(lengths), "response/tokens_max": max(lengths)}
    for finish in Finish:
        ended = [len(r.ids) for r in responses if r.finish is finish]
        row[f"response/finish_{finish.value}"] = len(ended) / len(responses)
        row[f"response/tokens_{finish.value}"] = sum(ended) / len(ended) if ended else None
    return row


def speed_metrics(
    learner: Learner, config: CellConfig, trained: Sequence[Sampled], updates: int, update_seconds: float
) -> dict[str, float | None]:
    """`perf/update_tflops`, model TFLOP/s of each process in the update, and `perf/mfu`, its share of the peak."""
    shape = architecture_from(learner.model_config)
    if shape is None:
        return {"perf/update_tflops": None, "perf/mfu": None}
    lengths = [(len(r.prompt_ids), len(r.ids)) for r in trained]
    flops = update_flops(shape, lengths, config.algorithm, updates, adapters=config.tuning.method == "lora")
    reached = flops / update_seconds / config.processes / 1e12
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    peak = config.resources.peak_tflops or peak_tflops(name, config.model.dtype)
    return {"perf/update_tflops": reached, "perf/mfu": reached / peak if peak else None}


def step_line(row: dict, steps: int) -> str:
    """What the log says of a step, from its row of metrics; `steps`: the target."""
    entropy = f"{row['train/entropy']:.3f}" if "train/entropy" in row else "-"  # nothing was trained on
    return (
        f"step {row['step']}/{steps} reward {row['reward/mean']:.3f} correct {row['reward/true_mean']:.3f} "
        f"code {row['behaviour/code']:.3f} entropy {entropy} {row['timing_s/step']:.2f} s"
    )
