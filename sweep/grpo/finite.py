"""Stop on numbers that are not finite, on all processes together. A check costs one small all-reduce."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.distributed as dist

from sweep.grpo.deal import Weighted
from sweep.grpo.loss import LossInputs, Statistics
from sweep.run.not_finite import MOST_TOKENS, NotFinite, first_tokens


def refuse(bad: dict[str, torch.Tensor], where: str, evidence: Callable[[], dict]) -> None:
    """Raise on every process if anything is bad on any. A process that went on alone would wait for the others.

    Args:
        bad: a boolean scalar for each name of a number: whether it is not finite on this process.
        where: what the numbers belong to.
        evidence: returns what this process worked on; called only if something is bad on this process.
    Raises:
        NotFinite: something is bad.
    """
    own_n = torch.stack(list(bad.values())).int()
    any_n = own_n.clone()
    if dist.get_world_size() > 1:
        dist.all_reduce(any_n, dist.ReduceOp.MAX)
    if not any_n.any():
        return
    names = [name for name, flag in zip(bad, any_n.tolist(), strict=True) if flag]
    raise NotFinite(f"{', '.join(names)} of {where}", evidence() if own_n.any() else None)


def refuse_loss(
    loss: torch.Tensor, found: Statistics, inputs: LossInputs, micro_batch: Sequence[Weighted], where: str
) -> None:
    """Call `refuse` for a micro-batch, before its backward pass.

    The mean of the ratios is enough to look at: a ratio that is infinite or NaN makes the mean so, whatever its weight.
    """
    bad = {
        "loss": ~loss.detach().isfinite(),
        "ratios": ~found.means["ratio"].isfinite(),
        "log-probs": ~inputs.trainer_logprobs_bt.detach().isfinite().all(),
    }
    refuse(bad, where, lambda: _evidence(loss, inputs, micro_batch))


def refuse_weights(named: Iterable[tuple[str, torch.Tensor]], device: torch.device) -> None:
    """Call `refuse` for weights and moments of the optimiser; `named` are those of this process."""
    # The extremes of a tensor are NaN where anything in it is, and they need no memory of its size.
    bad = {
        name: ~torch.stack(tensor.detach().aminmax()).isfinite().all().to(device)
        for name, tensor in named
        if tensor.numel()
    }
    any_bad = torch.stack(list(bad.values())).any()
    refuse(
        {"weights or moments": any_bad},
        "the optimiser",
        lambda: {"tensors": [name for name, flag in bad.items() if flag]},
    )


def _evidence(loss: torch.Tensor, inputs: LossInputs, micro_batch: Sequence[Weighted]) -> dict:
    """Return a micro-batch with its loss and with all log-probs that went into it, ready for JSON."""
    rows = {
        "logprobs": inputs.trainer_logprobs_bt,
        "old_logprobs": inputs.denominator_logprobs_bt,
        "sampler_logprobs": inputs.sampler_logprobs_bt,
        "reference_logprobs": inputs.reference_logprobs_bt,
    }
    lists = {name: value_bt.detach().tolist() for name, value_bt in rows.items() if value_bt is not None}
    responses = [
        {
            "prompt_ids": list(weighted.sampled.prompt_ids),
            "ids": weighted.sampled.ids,
            "advantage": weighted.response.advantage,
            "weight": weighted.weight,
            **{name: values[k][: len(weighted.sampled.ids)] for name, values in lists.items()},
        }
        for k, weighted in enumerate(micro_batch)
    ]
    return {"loss": float(loss.detach()), "responses": first_tokens(responses, MOST_TOKENS // dist.get_world_size())}
